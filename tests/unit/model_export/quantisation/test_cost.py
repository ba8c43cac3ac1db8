"""What a fast model costs, on tables whose answer is known."""

from __future__ import annotations

import pytest

from model_export.quantisation.cost import cost, cost_table
from service.classifier.contract import OperatingPoint
from tests.unit.model_export.evaluation.made import plain_table

POINT = OperatingPoint(uncertain_low=0.4, uncertain_high=0.6, abstain="it never decides")
BEFORE = plain_table(fake=[0.9, 0.8, 0.7, 0.3], real=[0.1, 0.2, 0.45, 0.65])


def test_the_same_scores_cost_nothing() -> None:
    found = cost(BEFORE, BEFORE, "video", POINT, draws=50)
    assert (found.change.value, found.change.low, found.change.high) == (0, 0, 0)
    assert (found.changed.value, found.changed.high, found.opposite.value) == (0, 0, 0)
    assert (found.error, found.bias, found.worst) == (0, 0, 0)


@pytest.mark.parametrize("level", ["clip", "face", "video"])
def test_verdicts_that_change_are_counted(level: str) -> None:
    # fake 0.7 becomes uncertain; real 0.65, called fake, becomes real; the rest stays as it was.
    after = plain_table(fake=[0.9, 0.8, 0.5, 0.3], real=[0.1, 0.2, 0.45, 0.35])
    found = cost(BEFORE, after, level, POINT, draws=50)  # type: ignore[arg-type]
    assert (found.fake, found.real) == (4, 4)
    assert found.changed.value == 2 / 8
    assert found.opposite.value == 1 / 8
    assert found.source.value == 14 / 16
    assert found.fast.value == 14 / 16
    assert found.bias < 0 < found.error < found.worst


def test_the_change_of_auc_is_fast_less_source() -> None:
    worse = plain_table(fake=[0.9, 0.8, 0.15, 0.3], real=[0.1, 0.2, 0.45, 0.65])
    found = cost(BEFORE, worse, "clip", POINT, draws=50)
    assert found.change.value == 11 / 16 - 14 / 16
    assert found.changed.low is not None
    assert found.changed.low <= 1 / 8 <= found.changed.high  # type: ignore[operator]
    table = cost_table([found], "costs")
    assert "-0.188" in " ".join(table.rows[0])


def test_other_clips_are_no_comparison() -> None:
    other = plain_table(fake=[0.9, 0.8, 0.7], real=[0.1, 0.2, 0.45, 0.65])
    with pytest.raises(ValueError, match="the same clips"):
        cost(BEFORE, other, "clip", POINT, draws=50)
