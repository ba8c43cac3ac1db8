"""Figures with answers known beforehand, and intervals over people."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

from service.classifier.contract import OperatingPoint
from service.measures.figures import (
    FIGURES,
    calibration_error,
    equal_error_rate,
    figures,
    weighted_figures,
)
from service.measures.metrics import (
    NO_FAKE,
    NO_REAL,
    NOTHING_CALLED,
    ONE_PERSON,
    Estimate,
    Measures,
    difference,
    measure,
    measure_methods,
    spread,
)
from service.measures.table import ScoreTable
from tests.unit.model_export.evaluation.made import plain_table, table_of


def _values_of(measures: Measures) -> dict[str, float | None]:
    return {name: getattr(measures, name).value for name in FIGURES}


def test_counted_by_hand() -> None:
    # Called fake: 0.9, 0.6, 0.5 of the forged and 0.7 of the real.
    found = measure(plain_table([0.9, 0.6, 0.5, 0.2], [0.7, 0.4, 0.3, 0.1]), "clip", draws=50)
    assert _values_of(found) == pytest.approx(
        {
            "precision": 3 / 4,
            "recall": 3 / 4,
            "specificity": 3 / 4,
            "f1": 3 / 4,
            "balanced_accuracy": 3 / 4,
            "auc": 11 / 16,
            "eer": 1 / 4,
            # Precision at each forged one, by falling score: 1/1, 2/3, 3/4, 4/7.
            "ap": (1 + 2 / 3 + 3 / 4 + 4 / 7) / 4,
            # Each clip lies in a bin of its own, which is off by its distance from the truth.
            "ece": (0.1 + 0.4 + 0.5 + 0.8 + 0.7 + 0.4 + 0.3 + 0.1) / 8,
        }
    )
    assert (found.counts.fake, found.counts.real, found.counts.people) == (4, 4, 8)


def test_unequal_numbers_counted_by_hand() -> None:
    found = measure(plain_table([0.8], [0.9, 0.7, 0.2]), "clip", draws=50)
    assert found.precision.value == pytest.approx(1 / 3)
    assert found.recall.value == 1
    assert found.specificity.value == pytest.approx(1 / 3)
    assert found.f1.value == pytest.approx(1 / 2)
    assert found.balanced_accuracy.value == pytest.approx(2 / 3)
    assert found.auc.value == pytest.approx(2 / 3)
    assert found.ap.value == pytest.approx(1 / 2)


def test_perfect_and_inverted() -> None:
    perfect = measure(plain_table([1.0] * 3, [0.0] * 3), "clip", draws=50)
    assert _values_of(perfect) == dict.fromkeys(FIGURES, 1.0) | {"eer": 0.0, "ece": 0.0}
    for name in FIGURES:
        estimate = getattr(perfect, name)
        assert (estimate.low, estimate.high) == (estimate.value, estimate.value)
    inverted = measure(plain_table([0.0] * 3, [1.0] * 3), "clip", draws=50)
    expected = dict.fromkeys(FIGURES, 0.0) | {"eer": 1.0, "ece": 1.0, "ap": 0.5}
    assert _values_of(inverted) == expected


def test_ties_count_half() -> None:
    tied = measure(plain_table([0.5] * 4, [0.5] * 4), "clip", draws=50)
    assert tied.auc == Estimate(0.5, 0.5, 0.5)
    assert tied.eer == Estimate(0.5, 0.5, 0.5)
    assert tied.ap.value == 0.5
    assert tied.ece.value == 0
    # A score that reaches the threshold is called fake.
    assert (tied.recall.value, tied.specificity.value) == (1, 0)


def test_of_forged_videos_alone_only_recall_means_something() -> None:
    found = measure(plain_table([0.9, 0.8, 0.1], []), "clip")
    assert found.recall.value == pytest.approx(2 / 3)
    assert found.recall.low is not None
    for name in set(FIGURES) - {"recall"}:
        assert getattr(found, name) == Estimate(None, reason=NO_REAL)


def test_of_real_videos_alone_only_specificity_means_something() -> None:
    found = measure(plain_table([], [0.9, 0.1]), "clip")
    assert found.specificity.value == pytest.approx(0.5)
    for name in set(FIGURES) - {"specificity"}:
        assert getattr(found, name) == Estimate(None, reason=NO_FAKE)


def test_nothing_called_fake_has_no_precision() -> None:
    found = measure(plain_table([0.4, 0.3], [0.1, 0.2]), "clip", draws=50)
    assert found.precision == Estimate(None, reason=NOTHING_CALLED)
    assert (found.recall.value, found.f1.value, found.auc.value) == (0, 0, 1)


def test_equal_error_rate_of_two_normal_distributions() -> None:
    # Two normals of deviation 1, their means 2 apart, cross at 1: the error is Phi(-1).
    grid = np.linspace(-6, 6, 20_001)
    quantiles = np.interp((np.arange(4000) + 0.5) / 4000, _normal(grid), grid)
    scores = np.concatenate([quantiles + 2, quantiles])
    fake = np.arange(8000) < 4000
    assert equal_error_rate(fake, scores) == pytest.approx(0.158655, abs=3e-4)


def _normal(grid: NDArray[np.float64]) -> NDArray[np.float64]:
    density = np.exp(-(grid**2) / 2)
    return np.asarray(np.cumsum(density) / density.sum())


def test_equal_error_rate_between_two_points_of_the_curve() -> None:
    # Two forged, three real: (0, 1/2) and (1/3, 1) join across the diagonal where both are 1/5.
    fake = np.array([True, False, True, False, False])
    scores = np.array([0.9, 0.5, 0.5, 0.2, 0.1])
    assert equal_error_rate(fake, scores) == pytest.approx(1 / 5)


def test_calibration_error_sees_honest_and_boastful_scores() -> None:
    rng = np.random.default_rng(0)
    scores = rng.random(50_000)
    honest = rng.random(50_000) < scores
    assert calibration_error(honest, scores) < 0.01
    boastful = np.where(scores > 0.5, 0.95, 0.05)
    # In each half the truth is 0.75 and 0.25 on average.
    assert calibration_error(honest, boastful) == pytest.approx(0.2, abs=0.01)
    assert calibration_error(np.array([True]), np.array([1.0])) == 0


def test_draws_are_computed_as_single_values_are() -> None:
    rng = np.random.default_rng(3)
    for _ in range(30):
        fake = rng.random(40) < rng.uniform(0.2, 0.8)
        scores = np.round(rng.random(40), 1)
        if fake.all() or not fake.any():
            continue
        weights = rng.integers(0, 3, (1, 40)).astype(np.float64)
        repeated = np.repeat(np.arange(40), weights[0].astype(int))
        if fake[repeated].all() or not fake[repeated].any():
            continue
        together = weighted_figures(fake, scores, 0.5, weights)
        single = figures(fake[repeated], scores[repeated], 0.5)
        assert set(together) == set(single)
        for name, value in single.items():
            if value is not None:
                assert together[name][0] == pytest.approx(value, abs=1e-12), name
        assert together["auc"][0] == pytest.approx(
            roc_auc_score(fake, scores, sample_weight=weights[0])
        )
        assert together["ap"][0] == pytest.approx(
            average_precision_score(fake, scores, sample_weight=weights[0])
        )


def _noisy_people(clips: int, people: int = 12) -> ScoreTable:
    """Real and forged videos whose scores depend on the person far more than on the clip."""
    rng = np.random.default_rng(5)
    videos = []
    for person in range(people):
        own = rng.normal(0, 0.15)
        for method, centre in (("DF", 0.55), ("real", 0.45)):
            scores = np.clip(centre + own + rng.normal(0, 0.03, clips), 0, 1)
            videos.append((f"{method}{person}", f"p{person}", method, scores.tolist()))
    return table_of(*videos)


def test_intervals_are_over_people_not_clips() -> None:
    few, many = (measure(_noisy_people(clips), "clip").recall for clips in (4, 100))
    assert many.value is not None
    assert many.low is not None
    assert many.high is not None
    assert few.low is not None
    assert few.high is not None
    # Clips drawn one by one would give 1.96 * sqrt(p (1 - p) / 1200) to either side.
    by_clips = 2 * 1.96 * np.sqrt(many.value * (1 - many.value) / 1200)
    assert many.high - many.low > 5 * by_clips
    # More clips of the same people are hardly more evidence.
    assert many.high - many.low > 0.7 * (few.high - few.low)


def test_more_people_are_more_evidence() -> None:
    few, many = (measure(_noisy_people(5, people), "clip").recall for people in (12, 200))
    assert few.high is not None
    assert few.low is not None
    assert many.high is not None
    assert many.low is not None
    assert many.high - many.low < 0.5 * (few.high - few.low)


def test_intervals_are_the_same_again_and_hold_the_value() -> None:
    table = _noisy_people(5)
    assert measure(table, "face") == measure(table, "face")
    assert measure(table, "face") != measure(table, "face", seed=1)
    found = measure(table, "clip")
    for name in FIGURES:
        estimate = getattr(found, name)
        assert estimate.low <= estimate.value <= estimate.high
        assert estimate.low < estimate.high


def test_one_person_has_no_interval() -> None:
    table = table_of(("f", "anna", "DF", [0.9]), ("r", "anna", "real", [0.1]))
    assert measure(table, "clip").auc == Estimate(1.0, reason=ONE_PERSON)


def test_each_method_is_held_against_all_real_videos() -> None:
    table = table_of(
        ("a", "p1", "DF", [0.9, 0.9]),
        ("b", "p2", "FS", [0.1]),
        ("c", "p3", "real", [0.2]),
        ("d", "p4", "real", [0.3]),
    )
    found = measure_methods(table, "clip", draws=20)
    assert list(found) == ["DF", "FS"]
    assert (found["DF"].auc.value, found["FS"].auc.value) == (1, 0)
    assert [(each.counts.fake, each.counts.real) for each in found.values()] == [(2, 2), (1, 2)]


def test_levels_change_what_is_counted() -> None:
    table = table_of(("f", "a", "DF", [0.9] * 20), ("r", "b", "real", [0.1] * 12))
    assert [measure(table, level, draws=5).counts.fake for level in ("clip", "face")] == [20, 1]


def test_an_operating_point_calibrates_and_decides() -> None:
    table = plain_table([0.3, 0.4], [0.1, 0.05])
    point = OperatingPoint(threshold=0.5, scale=2.0, offset=2.0, calibration="by hand")
    assert measure(table, "face", draws=5).recall.value == 0
    calibrated = measure(table, "face", draws=5, point=point)
    assert calibrated.recall.value == 1
    assert calibrated.auc.value == 1
    # sigmoid(2 logit(0.1) + 2) is 0.0836.
    strict = OperatingPoint(threshold=0.08, uncertain_low=0.08, scale=2.0, offset=2.0)
    assert measure(table, "face", draws=5, point=strict).specificity.value == 0.5


def test_spread_over_seeds() -> None:
    found = spread([0.8, 0.9, 1.0])
    assert (found.mean, found.deviation, found.count) == (pytest.approx(0.9), pytest.approx(0.1), 3)
    assert spread([0.7]).deviation is None


def test_a_difference_is_over_the_same_people() -> None:
    # Single scores of people vary widely; what the second network adds is the same for all.
    table = _noisy_people(5)
    better = table.scored(np.clip(table.score + np.where(table.fake, 0.015, -0.015), 0, 1))
    found = difference(better, table, "clip")
    ours, theirs = measure(better, "clip").auc, measure(table, "clip").auc
    assert ours.value is not None
    assert theirs.value is not None
    assert found.value == pytest.approx(ours.value - theirs.value)
    assert found.low is not None
    assert found.high is not None
    assert theirs.high is not None
    assert ours.low is not None
    assert ours.low < theirs.high
    assert 0 < found.low < found.value < found.high
    assert difference(table, table, "face") == Estimate(0, 0, 0)
    with pytest.raises(ValueError, match="same clips"):
        difference(table, table.take(np.arange(3)), "clip")
