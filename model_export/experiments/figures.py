"""Pictures of a suite: what each training is good for, and who wins on the open domain."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from model_export.evaluation.methods import OPEN, TRAINED, in_words
from model_export.evaluation.origin import stand_ins
from model_export.evaluation.results import Result

CHANCE = 0.5
_COLUMNS = (*TRAINED, OPEN)


def draw_matrix(results: Sequence[Result], architecture: str, path: Path, origin: str) -> None:
    """Clip AUC of every training (rows) on every method (columns), mean over seeds."""
    own = [
        each for each in results if each.architecture == architecture and each.strategy != "grid"
    ]
    rows = list(dict.fromkeys(_training(each) for each in own))
    values = np.array(
        [
            [_mean_auc([e for e in own if _training(e) == row], column) for column in _COLUMNS]
            for row in rows
        ]
    )
    figure = Figure(figsize=(7, 1.6 + 0.32 * len(rows)), layout="constrained")
    axes = figure.add_subplot()
    image = axes.imshow(values, vmin=0, vmax=1, cmap="RdBu_r", aspect="auto")
    axes.set_xticks(range(len(_COLUMNS)), _COLUMNS)
    axes.set_yticks(range(len(rows)), rows, fontsize=8)
    axes.set_xlabel("tested on")
    axes.set_title(f"{architecture}: clip AUC\n{_short(origin)}", fontsize=10)
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            axes.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=7)
    figure.colorbar(image, label="AUC (0.5 is chance)")
    _save(figure, path)


def draw_open_domain(results: Sequence[Result], path: Path, origin: str) -> None:
    """Clip AUC on the open domain for every network: one point a training and seed."""
    found = [each for each in results if each.method_tested == OPEN and each.strategy != "grid"]
    networks = list(dict.fromkeys(each.architecture for each in found))
    colours = {"single": "tab:orange", "merge": "tab:blue", "transfer": "tab:green"}
    markers = {"single": "o", "merge": "s", "transfer": "^"}
    figure = Figure(figsize=(1.8 + 1.3 * len(networks), 4), layout="constrained")
    axes = figure.add_subplot()
    axes.axhline(CHANCE, color="grey", linewidth=0.8, linestyle=":")
    for offset, (strategy, colour) in enumerate(colours.items()):
        points = [
            (networks.index(each.architecture) + 0.22 * (offset - 1), each.measures.auc.value)
            for each in found
            if each.strategy == strategy and each.measures.auc.value is not None
        ]
        if points:
            x, y = zip(*points, strict=True)
            axes.scatter(x, y, color=colour, marker=markers[strategy], label=strategy, alpha=0.75)
    axes.set_xticks(range(len(networks)), networks, rotation=20, ha="right")
    axes.set_ylabel(f"clip AUC on {OPEN}")
    axes.set_title(f"Open domain, never trained on\n{_short(origin)}", fontsize=10)
    axes.legend()
    _save(figure, path)


def _training(result: Result) -> str:
    return f"{result.strategy} {in_words(result.trained_on, result.transferred_to)}"


def _mean_auc(results: Sequence[Result], method: str) -> float:
    values = [
        each.measures.auc.value
        for each in results
        if each.method_tested == method and each.measures.auc.value is not None
    ]
    return float(np.mean(values)) if values else float("nan")


def _short(origin: str) -> str:
    return stand_ins(origin, after=", not the datasets of these names") or origin


def _save(figure: Figure, path: Path) -> None:
    FigureCanvasAgg(figure)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
