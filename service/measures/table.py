"""Scores of clips, a row each: what every figure is computed from."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

Strings = NDArray[np.str_]

REAL = "real"
"""The method of videos that are not forged."""

SEPARATOR = ";"
"""Between the people of one video."""


@dataclass(frozen=True, slots=True, eq=False)
class ScoreTable:
    """N scores of clips (or, from ``levels.at_level``, of faces or videos).

    ``label`` is ``real`` or ``fake``, ``method`` how it was forged (``real`` where it was not),
    ``part`` may be empty. ``people`` holds everybody whose face went in, joined by ``;``. Frames
    are counted in the video, both ends inclusive; ``start`` and ``end`` are seconds; ``score`` is
    P(fake). All arrays have shape (N,). Raises ``ValueError`` where they do not.
    """

    video: Strings
    people: Strings
    method: Strings
    label: Strings
    part: Strings
    track: NDArray[np.int64]
    first_frame: NDArray[np.int64]
    last_frame: NDArray[np.int64]
    start: NDArray[np.float64]
    end: NDArray[np.float64]
    score: NDArray[np.float64]

    def __post_init__(self) -> None:
        if any(getattr(self, name).shape != (len(self.score),) for name in COLUMNS):
            raise ValueError("the columns of a score table must be equally long")

    def __len__(self) -> int:
        return len(self.score)

    @property
    def fake(self) -> NDArray[np.bool_]:
        """Whether each row is forged."""
        return np.asarray(self.label == "fake")

    def persons(self) -> list[frozenset[str]]:
        """The people of each row. A video of which nobody is known stands for a person of its
        own."""
        return [
            frozenset(filter(None, people.split(SEPARATOR))) or frozenset([f"video {video}"])
            for people, video in zip(self.people.tolist(), self.video.tolist(), strict=True)
        ]

    def take(self, rows: NDArray[Any]) -> ScoreTable:
        """The rows that a mask or an array of indices names, in that order."""
        return ScoreTable(**{name: getattr(self, name)[rows] for name in COLUMNS})

    def select(self, part: str | None = None, methods: Collection[str] | None = None) -> ScoreTable:
        """The rows of one part and of some methods (``real`` is a method)."""
        chosen = np.ones(len(self), dtype=np.bool_)
        if part is not None:
            chosen &= self.part == part
        if methods is not None:
            chosen &= np.isin(self.method, list(methods))
        return self.take(chosen)

    def scored(self, score: NDArray[np.float64]) -> ScoreTable:
        """The same rows with other scores."""
        columns = {name: getattr(self, name) for name in COLUMNS}
        return ScoreTable(**{**columns, "score": score})

    def methods(self) -> list[str]:
        """The forgery methods, in alphabetical order."""
        return sorted(set(self.method[self.fake].tolist()))

    @classmethod
    def of(cls, rows: Sequence[Sequence[Any]]) -> ScoreTable:
        """A table of rows, each with its values in the order of ``COLUMNS``."""
        columns = zip(*rows, strict=True) if rows else [()] * len(COLUMNS)
        return cls(
            **{
                name: np.array(column, dtype=dtype)
                for (name, dtype), column in zip(_DTYPES.items(), columns, strict=True)
            }
        )


COLUMNS: tuple[str, ...] = tuple(field.name for field in fields(ScoreTable))
NUMBERS: Mapping[str, type[int] | type[float]] = {
    **dict.fromkeys(("track", "first_frame", "last_frame"), int),
    **dict.fromkeys(("start", "end", "score"), float),
}
_DTYPES: Mapping[str, type] = {name: NUMBERS.get(name, str) for name in COLUMNS}


def concatenate(tables: Iterable[ScoreTable]) -> ScoreTable:
    """All rows of several tables, one after another."""
    parts = [*tables, ScoreTable.of([])]
    return ScoreTable(
        **{name: np.concatenate([getattr(each, name) for each in parts]) for name in COLUMNS}
    )
