"""Two halves of a test set that share nobody."""

from __future__ import annotations

import hashlib

import numpy as np

from model_export.evaluation.table import ScoreTable


def halves(table: ScoreTable) -> tuple[ScoreTable, ScoreTable]:
    """The rows of one half of the people and those of the other.

    People go by turns into either half, in ascending order of the SHA-256 of their names, so that
    every model is halved alike. A row that shows people of both halves, a swap between them, is in
    neither.
    """
    rows = table.persons()
    people = sorted(
        frozenset().union(*rows), key=lambda name: hashlib.sha256(name.encode()).digest()
    )
    first = frozenset(people[::2])
    inside = np.array([row <= first for row in rows], dtype=np.bool_)
    outside = np.array([not row & first for row in rows], dtype=np.bool_)
    return table.take(inside), table.take(outside)
