"""The ranges of a network's activations on real clips."""

from __future__ import annotations

import copy
import io
from contextlib import redirect_stdout
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper, numpy_helper
from onnxruntime.quantization.calibrate import (
    CalibrationMethod,
    HistogramCollector,
    TensorsData,
)
from rich.progress import Progress

from model_export.data.prepared import PreparedDataset
from model_export.data.video import Part
from model_export.errors import DataError
from model_export.quantisation.layers import Layer, tensors
from service.classifier.contract import INPUT_NAME
from service.runtime import open_session

Clips = NDArray[np.uint8]

PERCENTILE = 99.99
"""Of the activations that lie within a range: one in ten thousand may be cut off, so that the rest
has finer steps. On the model in the box it takes a third off the error."""
_BINS = 2048


@dataclass(frozen=True, slots=True)
class Calibration:
    """``ranges`` of every layer's inputs and outputs; ``sums``, multiplications of each layer for
    one clip, by its weight's name."""

    ranges: TensorsData
    sums: dict[str, int]


def draw(dataset: PreparedDataset, part: Part, count: int, length: int, seed: int) -> Clips:
    """Some clips, uint8 (count, T, S, S, 3) RGB: of as many videos as there are, real and forged
    as they come, no clip twice; fewer where the part has fewer. Of longer clips the middle frames.

    Raises ``DataError`` where the part has none or where they are shorter than ``length``.
    """
    rng = np.random.default_rng(seed)
    stored = dataset.preparation.length
    if stored < length:
        raise DataError(f"{dataset.folder} holds clips of {stored} frames, not of {length}")
    skipped = (stored - length) // 2
    rows = dataset.videos(part)
    orders = [(row.video.id, rng.permutation(row.clips).tolist()) for row in rows]
    places = [
        (turn, rng.random(), video, index)
        for video, indices in orders
        for turn, index in enumerate(indices)
    ]
    if not places:
        raise DataError(f"{dataset.folder} holds no clips of the part '{part}'")
    return np.stack(
        [
            dataset.clip(video, index)[skipped : skipped + length]
            for _, _, video, index in sorted(places)[:count]
        ]
    )


def calibrate(
    model: ModelProto, layers: list[Layer], clips: Clips, progress: Progress | None = None
) -> Calibration:
    """Run a widened model on ``clips`` uint8 (N, T, H, W, 3), one by one, and watch ``layers``."""
    names = tensors(layers)
    watched = copy.deepcopy(model)
    there = {value.name for value in watched.graph.output}
    watched.graph.output.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
        for name in names
        if name not in there
    )
    session = open_session(watched.SerializeToString(), threads=0)
    del watched
    collector = HistogramCollector("percentile", False, _BINS, 0, PERCENTILE, "same")
    sizes: dict[str, int] = {}
    task = progress.add_task("Calibrating", total=len(clips)) if progress else None
    for clip in clips:
        seen = dict(zip(names, session.run(names, {INPUT_NAME: clip[None]}), strict=True))
        sizes = {name: int(np.prod(array.shape)) for name, array in seen.items()}
        with redirect_stdout(io.StringIO()):  # It reports every step.
            collector.collect(seen)
        if progress and task is not None:
            progress.advance(task)
    with redirect_stdout(io.StringIO()):
        ranges = TensorsData(CalibrationMethod.Percentile, collector.compute_collection_result())
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    return Calibration(ranges, {each.weight: _sums(model, each, weights, sizes) for each in layers})


def _sums(
    model: ModelProto, layer: Layer, weights: dict[str, TensorProto], sizes: dict[str, int]
) -> int:
    """Multiplications for one clip: for every value that comes out, those of its channel."""
    node = next(each for each in model.graph.node if each.name == layer.nodes[0])
    shape = numpy_helper.to_array(weights[layer.weight]).shape
    if node.op_type == "Conv":
        channels = shape[0]
    else:
        transposed = any(each.name == "transB" and each.i for each in node.attribute)
        channels = shape[0] if transposed else shape[-1]
    of_each = int(np.prod(shape)) // int(channels)
    return of_each * sum(sizes[name] for name in layer.outputs)
