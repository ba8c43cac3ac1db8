"""How much error each layer adds once it is in int8, and which layers are left out for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto
from rich.progress import Progress

from model_export.evaluation.calibration import log_odds
from model_export.quantisation.calibrating import Calibration, Clips
from model_export.quantisation.layers import Layer, quantised
from service.classifier.contract import INPUT_NAME, PROBABILITY_NAME
from service.runtime import open_session

_BATCH = 8


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """What ``layer`` alone in int8 does to the log-odds of P(fake): root mean square and largest
    difference. ``share`` is its part of all layers' multiplications."""

    layer: Layer
    error: float
    worst: float
    share: float


def scored(model: ModelProto, clips: Clips) -> NDArray[np.float64]:
    """Log-odds (N,) of P(fake) of ``clips`` uint8 (N, T, H, W, 3)."""
    session = open_session(model.SerializeToString(), threads=0)
    batches = [clips[start : start + _BATCH] for start in range(0, len(clips), _BATCH)]
    fake = [session.run([PROBABILITY_NAME], {INPUT_NAME: batch})[0] for batch in batches]
    return log_odds(np.concatenate(fake).astype(np.float64))


def sensitivities(
    model: ModelProto,
    calibration: Calibration,
    layers: Sequence[Layer],
    clips: Clips,
    progress: Progress | None = None,
) -> list[Sensitivity]:
    """Each layer of a widened model in int8, the others in float32: one measurement a layer.

    Measured at the end of the network, so that a recurrent layer's errors have gone through all
    steps and through everything after them.
    """
    wanted = scored(model, clips)
    total = sum(calibration.sums.values())
    found = []
    task = progress.add_task("Measuring layers", total=len(layers)) if progress else None
    for layer in layers:
        apart = scored(quantised(model, calibration.ranges, [layer]), clips) - wanted
        share = calibration.sums[layer.weight] / total
        found.append(Sensitivity(layer, rms(apart), float(np.abs(apart).max()), share))
        if progress and task is not None:
            progress.advance(task)
    return found


def left_out(measured: Sequence[Sensitivity], error: float) -> list[Sensitivity]:
    """Those that stay in float32 so that the rest adds no more than ``error`` (RMS, log-odds).

    Layers' errors are as good as independent: their squares add up. So what adds most for each
    multiplication goes first, and what is cheap goes before what is dear.
    """
    rest = sum(each.error**2 for each in measured)
    kept = []
    for each in sorted(measured, key=lambda one: one.error**2 / one.share, reverse=True):
        if rest <= error**2:
            break
        rest -= each.error**2
        kept.append(each)
    return kept


def rms(differences: NDArray[np.float64]) -> float:
    """Root mean square."""
    return float(np.sqrt(np.mean(differences**2)))
