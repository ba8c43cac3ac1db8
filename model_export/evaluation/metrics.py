"""Figures of a table of scores, with intervals; forged is the positive class throughout.

A figure's value is scikit-learn's. Its interval comes from a thousand draws, which are computed
together (``_figures``): the same definitions, with a weight for every row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import (
    average_precision_score,
    balanced_accuracy_score,
    f1_score,
    precision_score,
    recall_score,
    roc_auc_score,
    roc_curve,
)

from model_export.data.video import REAL
from model_export.evaluation.bootstrap import Units, units
from model_export.evaluation.levels import Level, at_level
from model_export.evaluation.table import ScoreTable
from service.classifier.contract import OperatingPoint
from service.scoring import calibrate as calibrated_score

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

BINS = 10
"""Of the expected calibration error: of equal width, [0, 0.1), ..., [0.9, 1]."""

NO_FAKE = "no forged videos: nothing to recall"
NO_REAL = "forged videos only: of one class only recall means something"
NOTHING_CALLED = "nothing was called fake"
ONE_PERSON = "one person only: no interval"
NO_DRAW = "no draw of people held both kinds: no interval"


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure and its 95 % interval over people. ``reason`` says why one of them is missing."""

    value: float | None
    low: float | None = None
    high: float | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Counts:
    """Of what the figures are: rows at the level, videos, people; ``drawn`` says what was drawn
    with replacement for the intervals."""

    fake: int
    real: int
    fake_videos: int
    real_videos: int
    people: int
    drawn: str


@dataclass(frozen=True, slots=True)
class Measures:
    """All figures of one set of rows.

    At ``threshold`` (a score that reaches it is called fake): ``precision``, ``recall`` and ``f1``
    of forged, ``specificity`` (share of real called real), ``balanced_accuracy`` (mean of recall
    and specificity). Over all thresholds: ``auc`` (area under the ROC curve), ``eer`` (error rate
    where misses equal false alarms), ``ap`` (average precision). ``ece`` is the expected
    calibration error. Precision, F1, AP and ECE depend on how many of the rows are forged.
    """

    level: Level
    threshold: float
    precision: Estimate
    recall: Estimate
    specificity: Estimate
    f1: Estimate
    balanced_accuracy: Estimate
    auc: Estimate
    eer: Estimate
    ap: Estimate
    ece: Estimate
    counts: Counts


FIGURES = (
    *("precision", "recall", "specificity", "f1", "balanced_accuracy", "auc", "eer", "ap"),
    "ece",
)


def measure(
    table: ScoreTable,
    level: Level,
    threshold: float | None = None,
    draws: int = 1000,
    seed: int = 0,
    point: OperatingPoint | None = None,
) -> Measures:
    """The figures of a table of clips at ``level``.

    With ``point`` the combined scores are calibrated as the service does. ``threshold`` is by
    default the point's, or 0.5. Intervals span the middle 95 % of ``draws`` draws of people; draws
    in which a figure has no meaning are left out of its interval. What has no meaning on this table
    (all but recall where nothing is real) is None with a reason.
    """
    rows = at_level(table, level)
    score = rows.score if point is None else calibrate_scores(rows.score, point)
    if threshold is None:
        threshold = 0.5 if point is None else point.threshold
    drawn = units(rows)
    values = _values(rows.fake, score, threshold)
    intervals = _intervals(rows.fake, score, threshold, drawn, draws, seed)
    estimates = {
        name: _estimate(name, value, *intervals[name], rows.fake, drawn)
        for name, value in values.items()
    }
    return Measures(level=level, threshold=threshold, counts=_counts(rows, drawn), **estimates)


def measure_methods(
    table: ScoreTable,
    level: Level,
    threshold: float | None = None,
    draws: int = 1000,
    seed: int = 0,
    point: OperatingPoint | None = None,
) -> dict[str, Measures]:
    """``measure`` of every forgery method, each against all real videos of the table."""
    return {
        method: measure(table.select(methods=[method, REAL]), level, threshold, draws, seed, point)
        for method in table.methods()
    }


def calibrate_scores(score: Floats, point: OperatingPoint) -> Floats:
    """Calibrated scores (N,) of raw ones, as the service calibrates."""
    return np.array([calibrated_score(raw, point) for raw in score.tolist()], dtype=np.float64)


def calibration_error(fake: Bools, score: Floats) -> float:
    """Expected calibration error over ``BINS`` bins of equal width: the mean distance between the
    mean score of a bin and its share of forged rows, weighted by the bin's rows."""
    return float(_calibration_errors(fake, score, np.ones((1, len(score))))[0])


def equal_error_rate(fake: Bools, score: Floats) -> float:
    """Where the ROC curve, its points joined by straight lines, has as many misses as false
    alarms."""
    false_alarms, recall, _ = roc_curve(fake, score, drop_intermediate=False)
    return float(np.interp(0, false_alarms + recall - 1, false_alarms))


def _values(fake: Bools, score: Floats, threshold: float) -> dict[str, float | None]:
    called = score >= threshold
    values: dict[str, float | None] = dict.fromkeys(FIGURES)
    if fake.any():
        values["recall"] = recall_score(fake, called)
    if not fake.all():
        values["specificity"] = recall_score(~fake, ~called)
    if fake.any() and not fake.all():
        values |= {
            "precision": precision_score(fake, called) if called.any() else None,
            "f1": f1_score(fake, called),
            "balanced_accuracy": balanced_accuracy_score(fake, called),
            "auc": roc_auc_score(fake, score),
            "eer": equal_error_rate(fake, score),
            "ap": average_precision_score(fake, score),
            "ece": calibration_error(fake, score),
        }
    return {name: None if value is None else float(value) for name, value in values.items()}


def _estimate(
    name: str, value: float | None, low: float, high: float, fake: Bools, drawn: Units
) -> Estimate:
    if value is None:
        if not fake.any():
            return Estimate(None, reason=NO_FAKE)
        return Estimate(None, reason=NO_REAL if fake.all() else NOTHING_CALLED)
    if np.isnan(low):
        return Estimate(value, reason=ONE_PERSON if drawn.count < 2 else NO_DRAW)
    return Estimate(value, low, high)


def _counts(rows: ScoreTable, drawn: Units) -> Counts:
    def videos(chosen: Bools) -> int:
        return len(set(rows.video[chosen].tolist()))

    return Counts(
        fake=int(rows.fake.sum()),
        real=int((~rows.fake).sum()),
        fake_videos=videos(rows.fake),
        real_videos=videos(~rows.fake),
        people=len(frozenset[str]().union(*rows.persons())),
        drawn=drawn.name,
    )


def _intervals(
    fake: Bools, score: Floats, threshold: float, drawn: Units, draws: int, seed: int
) -> dict[str, tuple[float, float]]:
    if drawn.count < 2:
        return dict.fromkeys(FIGURES, (np.nan, np.nan))
    parts = [_figures(fake, score, threshold, weights) for weights in drawn.weights(draws, seed)]
    intervals = {}
    for name in FIGURES:
        found = np.concatenate([part[name] for part in parts])
        found = found[~np.isnan(found)]
        low, high = np.quantile(found, (0.025, 0.975)) if len(found) else (np.nan, np.nan)
        intervals[name] = (float(low), float(high))
    return intervals


def _figures(fake: Bools, score: Floats, threshold: float, weights: Floats) -> Mapping[str, Floats]:
    """Every figure of every draw, float64 (draws,), from weights (draws, N); NaN where it has no
    meaning."""
    called = score >= threshold
    hits, alarms = weights @ (fake & called), weights @ (~fake & called)
    forged, real = weights @ fake, weights @ ~fake
    with np.errstate(invalid="ignore", divide="ignore"):
        both = np.where((forged > 0) & (real > 0), 1.0, np.nan)
        recall, specificity = hits / forged, 1 - alarms / real
        over_thresholds = _curve_figures(fake, score, weights)
        return {
            "precision": both * hits / (hits + alarms),
            "recall": recall,
            "specificity": specificity,
            "f1": both * 2 * hits / (hits + alarms + forged),
            "balanced_accuracy": (recall + specificity) / 2,
            **over_thresholds,
            "ece": both * _calibration_errors(fake, score, weights),
        }


def _curve_figures(fake: Bools, score: Floats, weights: Floats) -> dict[str, Floats]:
    """AUC, EER and AP from the ROC curves of all draws at once."""
    order = np.argsort(-score, kind="stable")
    ranked, forged = score[order], fake[order]
    last_of_ties = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)
    weights = weights[:, order]
    hits = _from_zero(np.cumsum(weights * forged, axis=1)[:, last_of_ties])
    alarms = _from_zero(np.cumsum(weights * ~forged, axis=1)[:, last_of_ties])
    recall, false_alarms = hits / hits[:, -1:], alarms / alarms[:, -1:]
    precision = np.nan_to_num(hits / (hits + alarms))
    return {
        "auc": np.asarray(np.trapezoid(recall, false_alarms, axis=1)),
        "eer": _crossings(false_alarms, false_alarms + recall - 1),
        "ap": np.where(alarms[:, -1] > 0, (np.diff(recall) * precision[:, 1:]).sum(1), np.nan),
    }


def _crossings(values: Floats, excess: Floats) -> Floats:
    """``values`` (draws, points), interpolated where ``excess``, rising from -1 to 1, is zero."""
    after = np.argmax(excess >= 0, axis=1)[:, None]
    before = np.maximum(after - 1, 0)
    low, high = (np.take_along_axis(excess, at, axis=1) for at in (before, after))
    share = -low / (high - low)
    start, end = (np.take_along_axis(values, at, axis=1) for at in (before, after))
    return np.asarray((start + share * (end - start))[:, 0])


def _from_zero(cumulated: Floats) -> Floats:
    return np.hstack([np.zeros((len(cumulated), 1)), cumulated])


def _calibration_errors(fake: Bools, score: Floats, weights: Floats) -> Floats:
    bins = np.minimum((score * BINS).astype(np.intp), BINS - 1)
    members = bins[:, None] == np.arange(BINS)
    return np.asarray(
        np.abs(weights @ (members * (score - fake)[:, None])).sum(axis=1) / weights.sum(axis=1)
    )


@dataclass(frozen=True, slots=True)
class Spread:
    """Mean and standard deviation (of a sample; None of one) of a figure over seeds."""

    mean: float
    deviation: float | None
    count: int


def spread(values: Sequence[float]) -> Spread:
    """Mean and spread of one or more values."""
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return Spread(float(np.mean(values)), deviation, len(values))
