"""Pictures of scores: histograms and ROC curves."""

from __future__ import annotations

import io

import numpy as np
from matplotlib.figure import Figure
from sklearn.metrics import roc_curve

from service.measures.figures import BINS
from service.measures.levels import Level
from service.measures.table import REAL, ScoreTable

_PANELS = 16
"""Methods in one picture, the first of the alphabet."""

_LONGEST = 20
"""Characters of a name in a legend."""


def histograms(rows: ScoreTable, level: Level, title: str) -> Figure:
    """Share of scores in each twentieth, one panel a method with the real ones behind it."""
    methods = rows.methods()[:_PANELS] or [REAL]
    figure = Figure(figsize=(3.2 * min(len(methods), 4), 2.4 * -(-len(methods) // 4) + 0.4))
    figure.set_layout_engine("constrained")
    figure.suptitle(title)
    shape = -(-len(methods) // 4), min(len(methods), 4)
    grid = figure.subplots(*shape, sharey=True, squeeze=False)
    for axes, method in zip(grid.flat, methods, strict=False):
        for name in dict.fromkeys((REAL, method)):
            scores = rows.score[rows.method == name]
            if len(scores):
                shares = np.full(len(scores), 1 / len(scores))
                axes.hist(
                    scores,
                    bins=2 * BINS,
                    range=(0, 1),
                    weights=shares,
                    alpha=0.6,
                    label=_plain(name),
                )
        axes.set(xlabel="P(fake)", ylabel=f"share of {level}s", xlim=(0, 1))
        axes.legend(frameon=False)
    for axes in grid.flat[len(methods) :]:
        axes.set_visible(False)
    return figure


def roc_curves(rows: ScoreTable, level: Level, title: str) -> Figure | None:
    """One curve a method against all real ones; None where there are none."""
    if rows.fake.all() or not rows.fake.any():
        return None
    figure = Figure(figsize=(4.6, 4.2), layout="constrained")
    axes = figure.subplots()
    for method in rows.methods()[:_PANELS]:
        chosen = rows.select(methods=[method, REAL])
        false_alarms, recall, _ = roc_curve(chosen.fake, chosen.score)
        axes.plot(false_alarms, recall, label=_plain(method))
    axes.plot([0, 1], [0, 1], color="grey", linewidth=0.8, linestyle=":")
    axes.set(xlabel="share of real called fake", ylabel="share of forged called fake", title=title)
    axes.legend(frameon=False)
    return figure


def _plain(name: str) -> str:
    """A name that is no formula and leaves room for the picture."""
    # Legends leave out names that begin with an underscore.
    name = f" {name}" if name.startswith("_") else name
    short = name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"
    return short.replace("$", r"\$")


def png(figure: Figure) -> bytes:
    """The picture as a file."""
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=110)
    return data.getvalue()
