"""AUC, its interval, calibration: known answers."""

from __future__ import annotations

import numpy as np
import pytest

from model_export.demo.calibration import calibrate, platt
from model_export.demo.evaluation import ScoredCase, evaluate
from model_export.demo.ranking import auc, interval_over_people


def _cases(shift: float) -> list[ScoredCase]:
    rng = np.random.default_rng(0)
    cases = []
    for person in ("a", "b", "c", "d"):
        for kind in ("swap", "mouth", "real", "real"):
            logits = rng.normal(shift if kind != "real" else 0, 1, 10)
            scores = 1 / (1 + np.exp(-logits))
            cases.append(ScoredCase(person, kind, scores, float(scores.mean())))
    return cases


def test_auc() -> None:
    assert auc([3, 4], [1, 2]) == 1
    assert auc([1, 2], [3, 4]) == 0
    assert auc([1, 1], [1, 1]) == 0.5
    assert auc([2, 4], [1, 3]) == 0.75
    assert np.isnan(auc([], [1]))


def test_the_interval_is_over_people() -> None:
    fake = {"a": [0.9] * 100, "b": [0.4] * 100}
    real = {"a": [0.5] * 100, "b": [0.5] * 100}
    assert interval_over_people(fake, real) == (0, 1)
    assert interval_over_people(fake, real) == interval_over_people(fake, real)


def test_figures_by_family_and_person() -> None:
    results = evaluate(_cases(2.0))
    assert results.people == 4
    assert results.fake_clips == results.real_clips == 80
    assert results.clip_auc.value == pytest.approx(0.92, abs=0.04)
    assert results.clip_auc.low is not None
    assert results.clip_auc.high is not None
    assert results.clip_auc.low < results.clip_auc.value < results.clip_auc.high
    assert set(results.by_family) == {"swap", "mouth"}
    assert set(results.by_person) == {"a", "b", "c", "d"}
    assert evaluate(_cases(0.0)).clip_auc.value == pytest.approx(0.5, abs=0.1)


def test_platt_finds_the_logistic() -> None:
    rng = np.random.default_rng(1)
    logits = rng.normal(0, 2, 20_000)
    fake = rng.random(20_000) < 1 / (1 + np.exp(-(1.5 * logits - 0.0)))
    scale, offset = platt(logits, fake, 20_000)
    assert scale == pytest.approx(1.5, abs=0.1)
    assert offset == pytest.approx(0.0, abs=0.1)
    # Little evidence leaves it near the identity.
    assert platt(logits, fake, 0.1)[0] == pytest.approx(1.0, abs=0.05)


def test_the_operating_point_is_in_order_and_says_how_it_was_found() -> None:
    point = calibrate(_cases(2.0), None)
    assert 0.25 <= point.uncertain_low <= 0.4
    assert 0.7 <= point.uncertain_high <= 0.9
    assert "4 validation people" in point.calibration
    assert calibrate(_cases(0.0), "no better than chance").abstain == "no better than chance"
