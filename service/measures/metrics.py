"""Figures of a table of scores, with intervals over people, and their spread over seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from service.classifier.contract import OperatingPoint
from service.measures.bootstrap import Units, units
from service.measures.figures import FIGURES, Bools, Floats, figures, weighted_figures
from service.measures.levels import Level, at_level
from service.measures.table import COLUMNS, REAL, ScoreTable
from service.scoring import calibrate as calibrated_score

NO_FAKE = "no forged videos: nothing to recall"
NO_REAL = "forged videos only: of one class only recall means something"
NOTHING_CALLED = "nothing was called fake"
ONE_PERSON = "one person or group only: no interval"
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
    return measure_rows(at_level(table, level), level, threshold, draws, seed, point)


def measure_rows(
    rows: ScoreTable,
    level: Level,
    threshold: float | None = None,
    draws: int = 1000,
    seed: int = 0,
    point: OperatingPoint | None = None,
) -> Measures:
    """``measure`` of rows that are at ``level`` already."""
    score = rows.score if point is None else calibrate_scores(rows.score, point)
    if threshold is None:
        threshold = 0.5 if point is None else point.threshold
    drawn = units(rows)
    values = figures(rows.fake, score, threshold)
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


def point_of(level: Level, point: OperatingPoint | None) -> OperatingPoint | None:
    """The operating point that ``level`` is measured at. It is one of faces, on which verdicts are
    taken, and of the videos they are in: clips are measured as the network scores them."""
    return None if level == "clip" else point


def calibrate_scores(score: Floats, point: OperatingPoint) -> Floats:
    """Calibrated scores (N,) of raw ones, as the service calibrates."""
    return np.array([calibrated_score(raw, point) for raw in score.tolist()], dtype=np.float64)


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
    parts = [
        weighted_figures(fake, score, threshold, weights) for weights in drawn.weights(draws, seed)
    ]
    intervals = {}
    for name in FIGURES:
        found = np.concatenate([part[name] for part in parts])
        found = found[~np.isnan(found)]
        low, high = np.quantile(found, (0.025, 0.975)) if len(found) else (np.nan, np.nan)
        intervals[name] = (float(low), float(high))
    return intervals


def difference(
    ours: ScoreTable,
    theirs: ScoreTable,
    level: Level,
    figure: str = "auc",
    draws: int = 1000,
    seed: int = 0,
) -> Estimate:
    """``figure`` of ``ours`` minus that of ``theirs``, two scorings of the same clips.

    The same people are drawn for both, so the interval is of the difference itself and may leave
    zero out where the intervals of the two overlap. Raises ``ValueError`` for other clips.
    """
    if not all(np.array_equal(getattr(ours, c), getattr(theirs, c)) for c in COLUMNS[:-1]):
        raise ValueError("the two tables must hold the same clips in the same order")
    first, second = at_level(ours, level), at_level(theirs, level)
    drawn = units(first)
    found, other = (figures(each.fake, each.score, 0.5)[figure] for each in (first, second))
    if found is None or other is None:
        return Estimate(None, reason=NO_REAL)
    if drawn.count < 2:
        return Estimate(found - other, reason=ONE_PERSON)
    differences = [
        weighted_figures(first.fake, first.score, 0.5, weights)[figure]
        - weighted_figures(second.fake, second.score, 0.5, weights)[figure]
        for weights in drawn.weights(draws, seed)
    ]
    low, high = np.nanquantile(np.concatenate(differences), (0.025, 0.975))
    return Estimate(found - other, float(low), float(high))


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
