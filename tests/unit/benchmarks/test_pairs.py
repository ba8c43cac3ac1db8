"""Rounds take turns, and ratios are of the same round."""

from __future__ import annotations

import pytest

from benchmarks.pairs import Spread, in_turns, ratios


def test_rounds_interleave_and_every_other_one_runs_backwards() -> None:
    order: list[str] = []

    def way(name: str) -> int:
        order.append(name)
        return len(order)

    found = in_turns({"a": lambda: way("a"), "b": lambda: way("b")}, 3)

    assert order == ["a", "b", "b", "a", "a", "b"]
    assert found == {"a": [1, 4, 5], "b": [2, 3, 6]}


def test_ratios_are_of_the_same_round() -> None:
    # A machine that is slow in the second round is so for both.
    assert ratios([2.0, 20.0, 3.0], [1.0, 10.0, 1.0]) == Spread(2.0, 2.0, 3.0)


def test_a_missing_round_is_an_error() -> None:
    with pytest.raises(ValueError, match="shorter"):
        ratios([1.0, 2.0], [1.0])


def test_text_gives_median_and_extremes() -> None:
    assert Spread.of([3.0, 1.0, 1.25]).text() == "1.25 (1.00 to 3.00)"
