"""Pictures of scores: reliability, and how AUC falls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from model_export.errors import EvaluationError
from model_export.evaluation.adversary import Attacked
from model_export.evaluation.robustness import UNITS, Degraded
from model_export.files import replace_bytes
from service.classifier.contract import OperatingPoint
from service.measures.figures import BINS
from service.measures.levels import Level, at_level
from service.measures.metrics import Estimate, calibrate_scores
from service.measures.pictures import png
from service.measures.table import ScoreTable

EDGES = np.linspace(0, 1, BINS + 1)


def reliability(
    table: ScoreTable, level: Level, title: str, point: OperatingPoint | None = None
) -> Figure | None:
    """Share of forged rows over their mean score in ten bins, raw and, with ``point``, calibrated;
    below it how many rows lie there. None where all rows are of one kind."""
    rows = at_level(table, level)
    if rows.fake.all() or not rows.fake.any():
        return None
    figure = Figure(figsize=(4.6, 5.0), layout="constrained")
    upper, lower = figure.subplots(2, 1, height_ratios=(3, 1), sharex=True)
    series = {"raw": rows.score}
    if point is not None:
        series["calibrated"] = calibrate_scores(rows.score, point)
    for name, score in series.items():
        counts, _ = np.histogram(score, EDGES)
        filled = counts > 0
        means = np.histogram(score, EDGES, weights=score)[0][filled] / counts[filled]
        shares = (
            np.histogram(score, EDGES, weights=rows.fake.astype(np.float64))[0][filled]
            / counts[filled]
        )
        upper.plot(means, shares, marker="o", label=name)
        lower.stairs(counts, EDGES, label=name)
    upper.plot([0, 1], [0, 1], color="grey", linewidth=0.8, linestyle=":")
    upper.set(ylabel=f"share of forged {level}s", title=title, xlim=(0, 1), ylim=(-0.02, 1.02))
    upper.legend(frameon=False)
    lower.set(xlabel="mean P(fake)", ylabel=f"{level}s")
    return figure


def robustness_curves(rows: Sequence[Degraded], title: str) -> Figure:
    """AUC over the level, one panel a degradation; the untouched AUC is the dotted line."""
    kinds = list(dict.fromkeys(row.kind for row in rows if row.kind is not None))
    figure = Figure(figsize=(2.6 * max(len(kinds), 1), 2.8), layout="constrained")
    figure.suptitle(title)
    grid = figure.subplots(1, max(len(kinds), 1), sharey=True, squeeze=False)[0]
    clean = next((row.auc.value for row in rows if row.kind is None), None)
    for axes, kind in zip(grid, kinds, strict=False):
        points = {row.level: row.auc for row in rows if row.kind == kind and row.level is not None}
        _with_bars(axes, points)
        if clean is not None:
            axes.axhline(clean, color="grey", linewidth=0.8, linestyle=":")
        axes.set(xlabel=UNITS[kind], title=kind)
        if kind in ("resize", "jpeg"):
            axes.invert_xaxis()  # Harm grows to the right everywhere.
    grid[0].set(ylabel="AUC", ylim=(None, 1.01))
    return figure


def attack_curves(rows: Sequence[Attacked], title: str) -> Figure:
    """AUC and recall over epsilon, a line an attack."""
    figure = Figure(figsize=(7, 3), layout="constrained")
    figure.suptitle(title)
    kinds = dict.fromkeys(row.attack.kind for row in rows if row.attack)
    for axes, name in zip(figure.subplots(1, 2), ("auc", "recall"), strict=True):
        for kind in kinds:
            chosen = [row for row in rows if row.attack is None or row.attack.kind == kind]
            points = {
                float(row.attack.epsilon if row.attack else 0): getattr(row, name) for row in chosen
            }
            _with_bars(axes, points, kind.upper())
        axes.set(xlabel="epsilon (steps of 255)", ylabel=name, ylim=(-0.02, 1.02))
        axes.legend(frameon=False)
    return figure


def save_figure(figure: Figure, path: Path) -> None:
    """Write a PNG, whole or not at all. Raises ``EvaluationError``."""
    try:
        replace_bytes(path, png(figure))
    except OSError as error:
        raise EvaluationError(f"{path} cannot be written: {error.strerror}") from error


def _with_bars(axes: Axes, points: Mapping[float, Estimate], label: str | None = None) -> None:
    places, values, bars = [], [], []
    for place, found in points.items():
        if found.value is None:
            continue
        low, high = (found.value if end is None else end for end in (found.low, found.high))
        places.append(place)
        values.append(found.value)
        # An interval by quantiles may miss its value; a bar cannot be shorter than nothing.
        bars.append((max(0.0, found.value - low), max(0.0, high - found.value)))
    yerr = np.array(bars).reshape(-1, 2).T
    axes.errorbar(places, values, yerr, marker="o", capsize=3, label=label)
