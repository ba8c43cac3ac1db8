"""Who is drawn: groups of connected people, or each person where there are few groups."""

from __future__ import annotations

import numpy as np

from service.measures.bootstrap import FEW, units
from service.measures.table import ScoreTable
from tests.unit.model_export.evaluation.made import table_of


def _pairs(count: int) -> ScoreTable:
    """As in FaceForensics++: 2n people, swapped in pairs."""
    videos = []
    for n in range(count):
        a, b = f"a{n}", f"b{n}"
        videos += [(f"{a}_{b}", f"{a};{b}", "DF", [0.9]), (f"{b}_{a}", f"{a};{b}", "DF", [0.9])]
        videos += [(a, a, "real", [0.1]), (b, b, "real", [0.1])]
    return table_of(*videos)


def _weights(table: ScoreTable, draws: int = 200) -> np.ndarray:
    return np.concatenate(list(units(table).weights(draws, seed=0)))


def test_people_whose_faces_were_swapped_are_drawn_together() -> None:
    table = _pairs(FEW)
    assert units(table).name == f"{FEW} groups of connected people"
    weights = _weights(table).reshape(200, FEW, 4)
    assert np.all(weights == weights[:, :, :1])
    assert np.all(weights[:, :, 0].sum(axis=1) == FEW)
    assert len(np.unique(weights)) > 2


def test_a_chain_of_swaps_is_one_group() -> None:
    # Groups are of who is connected over others too: 3 + 9 single people make ten groups.
    chain = [("ab", "a;b", "FS", [0.5]), ("bc", "c;b", "FS", [0.5]), ("c", "c", "real", [0.5])]
    others = [(f"s{n}", f"s{n}", "real", [0.5]) for n in range(9)]
    table = table_of(*chain, *others)
    assert units(table).name == "10 groups of connected people"
    weights = _weights(table)
    assert np.all(weights[:, 0] == weights[:, 1])
    assert np.all(weights[:, 0] == weights[:, 2])


def test_where_few_groups_are_left_a_swap_counts_as_often_as_both_its_people() -> None:
    table = _pairs(2)
    assert units(table).name == "4 people"
    weights = _weights(table).reshape(200, 2, 4)
    assert np.array_equal(weights[:, :, 0], weights[:, :, 2] * weights[:, :, 3])
    # On average a video counts about once.
    assert 0.6 < weights[:, :, 0].mean() < 1.1
    assert np.all(weights[:, :, 2:].sum(axis=(1, 2)) == 4)


def test_all_rows_of_a_person_count_alike() -> None:
    table = table_of(*((f"v{n}", f"p{n % 3}", "real", [0.5, 0.6]) for n in range(9)))
    weights = _weights(table).reshape(200, 3, 3, 2)
    assert np.all(weights == weights[:, :1, :, :1])
    assert len(weights) == 200


def test_draws_come_in_pieces_that_fit_into_memory() -> None:
    table = table_of(*((f"v{n}", f"p{n}", "real", [0.5] * 3000) for n in range(3)))
    pieces = list(units(table).weights(1000, seed=0))
    assert sum(map(len, pieces)) == 1000
    assert max(piece.size for piece in pieces) <= 2_000_000
