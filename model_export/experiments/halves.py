"""Two halves of a test set that share nobody."""

from __future__ import annotations

import hashlib

import numpy as np

from service.measures.table import ScoreTable


def halves(table: ScoreTable) -> tuple[ScoreTable, ScoreTable]:
    """The rows of one half of the people and those of the other, each as many real as forged.

    People go by turns into either half, in ascending order of the SHA-256 of their names, so that
    every model is halved alike. A row that shows people of both halves, a swap between them, is in
    neither. That leaves more real rows than forged ones; F1 depends on their ratio, so what is too
    many is left out, evenly.
    """
    rows = table.persons()
    people = sorted(
        frozenset().union(*rows), key=lambda name: hashlib.sha256(name.encode()).digest()
    )
    first = frozenset(people[::2])
    inside = np.array([row <= first for row in rows], dtype=np.bool_)
    outside = np.array([not row & first for row in rows], dtype=np.bool_)
    return balanced(table.take(inside)), balanced(table.take(outside))


def balanced(table: ScoreTable) -> ScoreTable:
    """As many real rows as forged ones: of the more frequent kind evenly spaced rows are kept. A
    table of one kind stays as it is."""
    kinds = np.flatnonzero(table.fake), np.flatnonzero(~table.fake)
    count = min(map(len, kinds))
    if not count:
        return table
    kept = [rows[np.linspace(0, len(rows) - 1, count).astype(np.intp)] for rows in kinds]
    return table.take(np.sort(np.concatenate(kept)))
