"""Strategies and the restricted grid search, without any training."""

from __future__ import annotations

import pytest

from model_export.errors import EvaluationError
from model_export.experiments.grid import OpenDomainScore, pairs, search, strategies
from model_export.experiments.strategy import Strategy, from_scratch, transfer


def test_one_method_is_single_and_several_are_merge() -> None:
    assert from_scratch(["FS"]) == Strategy("single", ("FS",))
    assert from_scratch(["NT", "FS", "FS"]) == Strategy("merge", ("FS", "NT"))
    with pytest.raises(ValueError, match="needs a method"):
        from_scratch([])


def test_a_transfer_starts_from_the_model_of_its_sources() -> None:
    several = transfer(["NT", "DF"], ["FS"])
    assert several.start == Strategy("merge", ("DF", "NT"))
    assert several.methods == ("DF", "FS", "NT")
    assert str(several) == "transfer DF+NT->FS"
    assert several.slug == "transfer-DF+NT-to-FS"
    assert from_scratch(["FS"]).start is None
    with pytest.raises(ValueError, match="apart from them"):
        transfer(["FS"], ["FS", "NT"])


def test_the_grid_has_21_pairs_and_each_a_transfer_and_a_merge() -> None:
    assert len(pairs()) == 3 * 7
    tried = list(strategies())
    assert len(tried) == len(set(tried)) == 42
    assert [each.kind for each in tried[:2]] == ["transfer", "merge"]
    for one, other in zip(tried[::2], tried[1::2], strict=True):
        assert one.methods == other.methods
        assert set(one.sources) <= {"F2F", "NT"}
        assert set(one.targets) <= {"DF", "FS", "DFD"}


def test_the_choice_is_made_on_one_half_and_the_oracle_on_the_whole() -> None:
    scores = {
        transfer(["NT"], ["FS"]): (0.7, 0.5, 0.6),
        from_scratch(["NT", "FS"]): (0.6, 0.9, 0.75),
    }

    found = search(list(scores), lambda strategy: OpenDomainScore(*scores[strategy]))
    assert found.chosen.strategy.kind == "transfer"
    assert found.chosen.score.reported_on == 0.5
    assert found.oracle.strategy.kind == "merge"
    assert len(found.candidates) == 2


def test_among_equals_fewer_methods_win_then_the_first_tried() -> None:
    tried = [
        from_scratch(["DF", "FS", "NT"]),
        transfer(["NT"], ["FS"]),
        from_scratch(["NT", "FS"]),
    ]
    same = OpenDomainScore(0.8, None, 0.8)
    assert search(tried, lambda _: same).chosen.strategy == tried[1]
    with pytest.raises(EvaluationError, match="no candidate"):
        search(tried, lambda _: OpenDomainScore(None, None, None))
