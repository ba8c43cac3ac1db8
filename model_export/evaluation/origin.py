"""Saying on every table and picture that what was measured on are stand-ins, where they are.

A name such as DF in a heading would else be taken for the forgeries that go by it.
"""

from __future__ import annotations

STAND_INS = "synthetic stand-ins"


def is_synthetic(origin: str) -> bool:
    """Whether a dataset of this origin (``Preparation.origin``) stands in for the forgeries its
    methods are named for."""
    return "synthetic" in origin.lower()


def stand_ins(origin: str, before: str = "", after: str = "") -> str:
    """``STAND_INS`` between two texts for a synthetic origin, nothing for others."""
    return f"{before}{STAND_INS}{after}" if is_synthetic(origin) else ""


def titled(title: str, origin: str) -> str:
    """A title that says it."""
    return title + stand_ins(origin, " (", ")")
