"""Who a detector was prepared for: the attackers of the WWW '21 paper."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Literal, get_args

from model_export.evaluation.methods import KNOWN

Attacker = Literal["in-domain", "out-of-domain", "open-domain"]

ATTACKERS: tuple[Attacker, ...] = get_args(Attacker)


def attacker(
    tested: str,
    trained_on: Collection[str],
    transferred_to: Collection[str] = (),
    known: Collection[str] = KNOWN,
) -> Attacker:
    """Who attacks a model with ``tested``.

    ``in-domain``: with a method the model was trained on, the source of a transfer among them.
    ``out-of-domain``: with another method that is known. ``open-domain``: with an unknown one.
    """
    if tested in trained_on or tested in transferred_to:
        return "in-domain"
    return "out-of-domain" if tested in known else "open-domain"


def by_attacker(
    methods: Iterable[str], trained_on: Collection[str], transferred_to: Collection[str] = ()
) -> dict[Attacker, list[str]]:
    """The methods of each attacker that has any."""
    groups: dict[Attacker, list[str]] = {name: [] for name in ATTACKERS}
    for method in methods:
        groups[attacker(method, trained_on, transferred_to)].append(method)
    return {name: members for name, members in groups.items() if members}
