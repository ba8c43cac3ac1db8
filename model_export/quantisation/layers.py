"""The layers of an ONNX model that can be quantised, and the model with some of them in int8."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType
from onnxruntime.quantization.calibrate import TensorsData
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

from model_export.errors import ExportError

_OPERATORS = ("Conv", "Gemm", "MatMul")
_FEWEST = 1024
"""Weights of a layer that is worth the conversions around it."""
_MOST_WEIGHTS = 0.5


@dataclass(frozen=True, slots=True)
class Layer:
    """The nodes that multiply by one weight. A recurrent convolution is one layer of several: it
    is there for every step but the first. ``inputs`` and ``outputs`` are theirs."""

    weight: str
    nodes: tuple[str, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def widened(model: ModelProto) -> ModelProto:
    """A copy whose weights are all float32, those too that are stored in half precision, and whose
    nodes all have names."""
    wide = copy.deepcopy(model)
    graph = wide.graph
    halves = {
        tensor.name: numpy_helper.to_array(tensor)
        for tensor in graph.initializer
        if tensor.data_type == TensorProto.FLOAT16
    }
    nodes = []
    for number, node in enumerate(graph.node):
        if node.op_type == "Cast" and node.input[0] in halves:
            weight = halves[node.input[0]].astype(np.float32)
            graph.initializer.append(numpy_helper.from_array(weight, node.output[0]))
        else:
            node.name = node.name or f"{node.op_type}{number}"
            nodes.append(node)
    used = {name for node in nodes for name in node.input}
    weights = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(nodes)
    graph.initializer.extend(weights)
    return wide


def layers(model: ModelProto) -> list[Layer]:
    """What of a widened model can be quantised, in the order of the graph.

    Raises ``ExportError`` for a model that is quantised already, and for one whose weights are for
    the most part not in such layers, as in graphs that are rearranged for speed in float32.
    """
    graph = model.graph
    if any(node.op_type in ("QuantizeLinear", "DequantizeLinear") for node in graph.node):
        raise ExportError("the model is quantised already: give the float32 model it was made from")
    weights = {
        tensor.name: int(np.prod(tensor.dims))
        for tensor in graph.initializer
        if tensor.data_type == TensorProto.FLOAT
    }
    found: dict[str, list[int]] = {}
    for number, node in enumerate(graph.node):
        if node.op_type in _OPERATORS and weights.get(node.input[1], 0) >= _FEWEST:
            found.setdefault(node.input[1], []).append(number)
    if sum(weights[name] for name in found) < _MOST_WEIGHTS * max(1, sum(weights.values())):
        raise ExportError(
            "most of the model's weights are in nothing that can be quantised: a graph that was "
            "rearranged for float32 must be exported plainly"
        )
    return [
        Layer(
            weight,
            tuple(graph.node[number].name for number in numbers),
            tuple(graph.node[number].input[0] for number in numbers),
            tuple(graph.node[number].output[0] for number in numbers),
        )
        for weight, numbers in found.items()
    ]


def tensors(chosen: Iterable[Layer]) -> list[str]:
    """What goes into these layers and comes out of them, each once."""
    return list(dict.fromkeys(name for each in chosen for name in (*each.inputs, *each.outputs)))


def quantised(model: ModelProto, ranges: TensorsData, chosen: Sequence[Layer]) -> ModelProto:
    """The widened model with ``chosen`` in int8 (QDQ); ``ranges`` are of their ``tensors``.

    Activations are uint8, weights int8 with a scale for each output channel. Weights use seven of
    the eight bits: processors without VNNI add pairs of products in 16 bits, which two large ones
    overflow, silently. So the sums are exact and the same on every processor.
    """
    copied = copy.deepcopy(model)
    # The quantiser leaves alone what has no type.
    copied.graph.value_info.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in tensors(chosen)
    )
    quantiser = QDQQuantizer(
        copied,
        per_channel=True,
        reduce_range=True,
        weight_qType=QuantType.QInt8,
        activation_qType=QuantType.QUInt8,
        tensors_range=ranges,
        nodes_to_quantize=[node for layer in chosen for node in layer.nodes],
        nodes_to_exclude=[],
        op_types_to_quantize=list(_OPERATORS),
        extra_options={},
    )
    quantiser.quantize_model()
    result: ModelProto = quantiser.model.model
    result.producer_name, result.producer_version = model.producer_name, model.producer_version
    del result.graph.value_info[:]
    return result
