"""How the AUC falls when clips are compressed, shrunk, blurred or made noisy.

Crops are degraded, after faces were found in the untouched video: this measures the network, not
what a bad video does to the face detector.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

import numpy as np

from model_export.degradation import LEVELS, Kind, degrade
from model_export.evaluation.scores import Image, Transform
from service.measures.levels import Level
from service.measures.metrics import Estimate, difference, measure
from service.measures.rendering import Table, with_interval
from service.measures.table import ScoreTable

MEASURED: Mapping[Kind, tuple[float, ...]] = MappingProxyType(
    {kind: LEVELS[kind] for kind in ("h264", "resize", "blur", "noise")}
)
"""What is measured unless a caller says otherwise."""

UNITS: Mapping[str, str] = MappingProxyType(
    {
        "h264": "CRF",
        "jpeg": "quality",
        "resize": "factor",
        "blur": "pixels",
        "noise": "steps of 255",
    }
)
"""What a level counts; of blur and noise the Gaussian's deviation."""


@dataclass(frozen=True, slots=True)
class Degraded:
    """The AUC at one level of one degradation (None: of nothing), and how far it lies below that of
    untouched clips, as a negative difference over the same people."""

    kind: Kind | None
    level: float | None
    auc: Estimate
    change: Estimate


def robustness(
    score: Callable[[Transform | None], ScoreTable],
    level: Level = "clip",
    levels: Mapping[Kind, Sequence[float]] = MEASURED,
    draws: int = 1000,
) -> list[Degraded]:
    """AUC at each of ``levels``, untouched first. ``score`` scores the same clips each time, after
    a transform."""
    clean = score(None)
    rows = [Degraded(None, None, measure(clean, level, draws=draws).auc, Estimate(0.0))]
    for kind, steps in levels.items():
        for step in steps:
            table = score(partial(_degraded, kind, step))
            auc = measure(table, level, draws=draws).auc
            rows.append(Degraded(kind, step, auc, difference(table, clean, level, draws=draws)))
    return rows


def robustness_table(rows: Sequence[Degraded], level: Level) -> Table:
    """A row a level."""
    return Table(
        title=f"AUC by {level} under degradation",
        columns=("degradation", "level", "AUC (95 %)", "change (95 %)"),
        rows=tuple(
            (
                row.kind or "none",
                "" if row.kind is None else f"{row.level:g} {UNITS[row.kind]}",
                with_interval(row.auc),
                "" if row.kind is None else with_interval(row.change, signed=True),
            )
            for row in rows
        ),
        notes=("Crops are degraded after faces were found. Intervals draw people.",),
    )


def _degraded(kind: Kind, level: float, pixels: Image, rng: np.random.Generator) -> Image:
    return degrade(pixels, kind, level, rng)
