"""Loss and accuracy over epochs as a picture, as the papers' figures 6 and 7 show them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from model_export.files import replacing
from model_export.training.logs import Row

CURVES = "curves.png"


def draw_curves(rows: Sequence[Row], best: int, folder: Path) -> None:
    """Write ``curves.png``: training and validation, the epoch ``best`` marked. Raises
    ``OSError``."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    epochs = [row.epoch for row in rows]
    for axes, name in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        axes.plot(epochs, [getattr(row, name) for row in rows], label="training")
        axes.plot(epochs, [getattr(row, f"validation_{name}") for row in rows], label="validation")
        axes.axvline(best, color="grey", linewidth=0.8, linestyle=":", label=f"best: epoch {best}")
        axes.set(xlabel="epoch", ylabel=name)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(frameon=False)
    with replacing(folder / CURVES) as part:
        figure.savefig(part, format="png", dpi=110)
