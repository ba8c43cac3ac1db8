"""The traced graph with its placeholders written out, as it is defined or as it runs fastest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import chain
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from model_export.graph.conv_lstm import DOMAIN, Layer, convolutions, is_placeholder
from model_export.graph.nodes import Nodes
from model_export.graph.rows import (
    Rows,
    in_rows,
    normalised,
    padded,
    pooled,
    to_image,
    to_rows,
)
from model_export.graph.tiles import tiled, tiling

_WIDEST = 3
"""Larger kernels gather too much to be worth rows; they stay convolutions, or become tiles."""


def expand(model: onnx.ModelProto, *, plain: bool = False) -> None:
    """Replace the placeholders in ``model`` by ONNX nodes, in place.

    They are written for processors: over rows of channels, and on Fourier tiles where those pay.
    ``plain`` writes convolutions alone, which GPUs and quantisers know best.
    """
    layout = _Plain() if plain else _Rows(model)
    nodes = list(chain.from_iterable(map(layout.written, model.graph.node)))
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    # A single step convolves no state: its recurrent weights are of no use in the file.
    used = {name for node in nodes for name in node.input}
    weights = [*model.graph.initializer, *layout.constants]
    kept = [tensor for tensor in weights if tensor.name in used]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    opsets = [opset for opset in model.opset_import if opset.domain != DOMAIN]
    del model.opset_import[:]
    model.opset_import.extend(opsets)


class _Plain:
    """Everything over (T * N, C, H, W)."""

    def __init__(self) -> None:
        self.constants: list[TensorProto] = []

    def written(self, node: NodeProto) -> list[NodeProto]:
        """What stands in the place of ``node``."""
        return convolutions(Layer.of(node)).nodes if is_placeholder(node) else [node]


class _Rows:
    """Convolutional LSTMs, and what lies between them, over rows of channels."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.constants: list[TensorProto] = []
        self._values = _constants(model)
        self._rows: dict[str, Rows] = {}
        """Of images by name."""
        self._imaged: set[str] = set()
        """Those that are there as images as well."""
        self._handlers: dict[str, Callable[[Nodes, NodeProto, Rows], Rows | None]] = {
            "Add": self._add,
            "BatchNormalization": self._normalise,
            "MaxPool": self._pool,
            "Pad": self._pad,
            "Relu": self._relu,
        }

    def written(self, node: NodeProto) -> list[NodeProto]:
        """What stands in the place of ``node``."""
        if is_placeholder(node):
            return self._layer(Layer.of(node))
        handler = self._handlers.get(node.op_type)
        rows = self._rows.get(node.input[0]) if handler else None
        if handler and rows:
            nodes = Nodes(node.output[0])
            found = handler(nodes, node, rows)
            if found:
                self._rows[node.output[0]] = found
                return self._taken(nodes)
        return [*chain.from_iterable(map(self._image, node.input)), node]

    def _layer(self, layer: Layer) -> list[NodeProto]:
        nodes, cut = Nodes(layer.result), tiling(layer)
        if cut:
            before = self._image(layer.x)
            self._rows[layer.result] = tiled(nodes, layer, cut)
            return [*before, *self._taken(nodes)]
        if layer.kernel > _WIDEST:
            return [*self._image(layer.x), *convolutions(layer).nodes]
        if layer.x not in self._rows:
            turning = Nodes(layer.x)
            self._rows[layer.x] = to_rows(turning, layer.x, layer.channels, layer.size)
            self._imaged.add(layer.x)
            return [*self._taken(turning), *self._layer(layer)]
        weights = {name: self._array(name) for name in (layer.weight, layer.recurrent_weight)}
        self._rows[layer.result] = in_rows(nodes, layer, self._rows[layer.x], weights)
        return self._taken(nodes)

    def _image(self, name: str) -> list[NodeProto]:
        """Nodes for the image ``name``, where there are only rows of it yet."""
        if name not in self._rows or name in self._imaged:
            return []
        self._imaged.add(name)
        nodes = Nodes(f"{name}/image")
        nodes.rename(to_image(nodes, self._rows[name]), name)
        return self._taken(nodes)

    def _taken(self, nodes: Nodes) -> list[NodeProto]:
        self.constants += nodes.constants
        return nodes.nodes

    def _array(self, name: str) -> NDArray[np.float32]:
        return np.asarray(numpy_helper.to_array(self._values[name]))

    def _add(self, nodes: Nodes, node: NodeProto, rows: Rows) -> Rows | None:
        other = self._rows.get(node.input[1])
        if other is None or not np.array_equal(other.order, rows.order):
            return None
        return replace(rows, value=nodes.add("Add", [rows.value, other.value], "rows"))

    def _normalise(self, nodes: Nodes, node: NodeProto, rows: Rows) -> Rows:
        gamma, beta, mean, variance = (
            self._array(name).astype(np.float64) for name in node.input[1:]
        )
        scale = gamma / np.sqrt(variance + _attributes(node).get("epsilon", 1e-5))
        return normalised(nodes, rows, scale, beta - mean * scale)

    def _pad(self, nodes: Nodes, node: NodeProto, rows: Rows) -> Rows | None:
        first, channels, top, left, last, more, bottom, right = self._array(node.input[1]).tolist()
        if any((first, channels, last, more)):
            return None
        filled = float(self._array(node.input[2])) if len(node.input) > 2 else 0.0
        return padded(nodes, rows, (top, left, bottom, right), filled)

    def _pool(self, nodes: Nodes, node: NodeProto, rows: Rows) -> Rows | None:
        said = _attributes(node)
        (kernel, width), (stride, across) = said["kernel_shape"], said["strides"]
        if any(said["pads"]) or said["ceil_mode"] or (kernel, stride) != (width, across):
            return None
        return pooled(nodes, rows, kernel, stride)

    def _relu(self, nodes: Nodes, node: NodeProto, rows: Rows) -> Rows:
        return replace(rows, value=nodes.add("Relu", [rows.value], "rows"))


def _attributes(node: NodeProto) -> dict[str, Any]:
    return {each.name: helper.get_attribute_value(each) for each in node.attribute}


def _constants(model: onnx.ModelProto) -> dict[str, TensorProto]:
    """Initializers and constants by name."""
    found = {each.name: each for each in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Constant":
            found[node.output[0]] = node.attribute[0].t
    return found
