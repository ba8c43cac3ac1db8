"""One labelled video of a dataset."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Label = Literal["real", "fake"]
Part = Literal["train", "validation", "test"]

PARTS: tuple[Part, ...] = ("train", "validation", "test")

REAL = "real"
"""The method of a video that nobody forged."""


@dataclass(frozen=True, slots=True)
class LabelledVideo:
    """A video, what it is, and what it shares with others.

    ``id`` is unique in its dataset and fit for a file name ([A-Za-z0-9._+-], at most 120
    characters). ``location`` is a path or a URL. ``method`` is how it was forged (``DF``, ``FS``,
    ...), ``real`` where it was not. ``people`` are all persons whose face went into it, the lender
    of a swapped face too; ``sources`` all source videos, its own for a real one: videos of two
    parts may share neither. ``twin`` is the id of the real video with the same frames, where there
    is one.
    """

    id: str
    location: str
    label: Label
    method: str
    part: Part | None
    people: frozenset[str]
    sources: frozenset[str]
    twin: str | None = None
