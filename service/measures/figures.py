"""What every figure is: a forged row is positive, and called fake where its score reaches the
threshold.

``figures`` are scikit-learn's, of one set of rows. ``weighted_figures`` are the same definitions
for a thousand sets of weights at once, which scikit-learn would take minutes for.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

FIGURES = (
    *("precision", "recall", "specificity", "f1", "balanced_accuracy", "auc", "eer", "ap"),
    "ece",
)

BINS = 10
"""Of the expected calibration error: of equal width, [0, 0.1), ..., [0.9, 1]."""


def figures(fake: Bools, score: Floats, threshold: float) -> dict[str, float | None]:
    """Every figure of rows (N,); None where it has no meaning."""
    # Here, because a service that never evaluates need not hold it.
    from sklearn.metrics import (
        average_precision_score,
        balanced_accuracy_score,
        f1_score,
        precision_score,
        recall_score,
        roc_auc_score,
    )

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


def calibration_error(fake: Bools, score: Floats) -> float:
    """Expected calibration error over ``BINS`` bins of equal width: the mean distance between the
    mean score of a bin and its share of forged rows, weighted by the bin's rows."""
    return float(_calibration_errors(fake, score, np.ones((1, len(score))))[0])


def equal_error_rate(fake: Bools, score: Floats) -> float:
    """Where the ROC curve, its points joined by straight lines, has as many misses as false
    alarms."""
    from sklearn.metrics import roc_curve

    false_alarms, recall, _ = roc_curve(fake, score, drop_intermediate=False)
    return float(np.interp(0, false_alarms + recall - 1, false_alarms))


def weighted_figures(
    fake: Bools, score: Floats, threshold: float, weights: Floats
) -> dict[str, Floats]:
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
