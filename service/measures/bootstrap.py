"""Drawing people anew: how far a figure could have come out otherwise.

Clips of one person resemble each other, and so do the real videos of somebody and the forged ones
that show the same face. Drawing clips would pretend to evidence that is not there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.measures.table import ScoreTable

FEW = 10
"""So many groups of connected people at least, or people are drawn each for themselves."""
_ELEMENTS = 2_000_000
"""Weights held in memory at once."""


@dataclass(frozen=True, slots=True)
class Units:
    """What is drawn with replacement. ``of_row`` is intp (N, most): the units in each row, filled
    up with ``count``, which stands for nobody."""

    count: int
    of_row: NDArray[np.intp]
    name: str

    def weights(self, draws: int, seed: int) -> Iterator[NDArray[np.float64]]:
        """How often each row counts in each draw, float64 (some draws, N) at a time, ``draws`` in
        all. A row of several units counts as often as the product of theirs."""
        rng = np.random.default_rng(seed)
        step = max(1, _ELEMENTS // max(1, self.of_row.size))
        for start in range(0, draws, step):
            some = min(step, draws - start)
            times = rng.multinomial(self.count, np.full(self.count, 1 / self.count), size=some)
            padded = np.hstack([times, np.ones((some, 1), times.dtype)]).astype(np.float64)
            yield padded[:, self.of_row].prod(axis=-1)


def units(table: ScoreTable) -> Units:
    """What to draw: groups of people, connected where one video shows the faces of two.

    Swaps within a small set tie nearly everybody into one group, and one group cannot be drawn
    anew. Where there are fewer than ``FEW`` groups each person is drawn for themselves, and a video
    of two people counts as often as the product (the pigeonhole bootstrap, Owen 2007, whose
    intervals are if anything too wide).
    """
    rows = table.persons()
    people = {name: index for index, name in enumerate(sorted(frozenset().union(*rows)))}
    most = max((len(row) for row in rows), default=0)
    of_row = np.full((len(rows), most), len(people), dtype=np.intp)
    for index, row in enumerate(rows):
        of_row[index, : len(row)] = sorted(people[name] for name in row)
    count, group = _connected(of_row, len(people))
    if FEW <= count < len(people):
        return Units(count, group[of_row[:, :1]], f"{count} groups of connected people")
    return Units(len(people), of_row, f"{len(people)} people")


def _connected(of_row: NDArray[np.intp], people: int) -> tuple[int, NDArray[np.intp]]:
    """How many groups, and the group of each person: first in a row means connected to the rest."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    known = of_row < people
    first = np.broadcast_to(of_row[:, :1], of_row.shape)[known]
    links = coo_array((np.ones(len(first)), (first, of_row[known])), shape=(people, people))
    count, group = connected_components(links, directed=False)
    return int(count), np.asarray(group, dtype=np.intp)
