"""Convolutional LSTMs in an ONNX graph: one placeholder each, then plain nodes.

Traced step by step, a network of LSTMs becomes thousands of operations to follow, and the
exporter takes minutes. So each layer is traced as a single placeholder node, which is replaced
afterwards by the handful of ONNX operators that compute it, unrolled over time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from onnx import NodeProto, helper
from torch import Tensor, nn

from model_export.graph.cell import Cell
from model_export.graph.nodes import Nodes
from model_export.layers import ConvLSTM2d, same_padding

DOMAIN = "deepfake"
_NAME = "ConvLSTM"


@dataclass(frozen=True)
class Layer:
    """What a placeholder says: values by name, sizes in pixels.

    ``x`` is (T * N, channels, *size), time-major; ``result`` (T * N, filters, *grid).
    """

    x: str
    weight: str
    recurrent_weight: str
    bias: str
    peepholes: str | None
    result: str
    steps: int
    kernel: int
    stride: int
    pads: tuple[int, int, int, int]
    """Top, left, bottom, right."""
    channels: int
    filters: int
    size: tuple[int, int]
    grid: tuple[int, int]

    @classmethod
    def of(cls, node: NodeProto) -> Layer:
        """Read a placeholder."""
        said = {each.name: helper.get_attribute_value(each) for each in node.attribute}
        x, weight, recurrent_weight, bias, *peepholes = node.input
        pads = top, left, bottom, right = tuple(said["pads"])
        kernel, stride, size = said["kernel"], said["stride"], tuple(said["size"])
        return cls(
            *(x, weight, recurrent_weight, bias),
            peepholes=peepholes[0] if peepholes else None,
            result=node.output[0],
            steps=said["steps"],
            kernel=kernel,
            stride=stride,
            pads=pads,
            channels=said["channels"],
            filters=said["filters"],
            size=size,
            grid=(
                (size[0] + top + bottom - kernel) // stride + 1,
                (size[1] + left + right - kernel) // stride + 1,
            ),
        )


def is_placeholder(node: NodeProto) -> bool:
    """Whether ``node`` stands for a convolutional LSTM."""
    return str(node.domain) == DOMAIN


@contextmanager
def placeholders(model: nn.Module) -> Iterator[None]:
    """Let every ``ConvLSTM2d`` in ``model`` be traced as one node while the block runs."""
    layers = [module for module in model.modules() if isinstance(module, ConvLSTM2d)]
    try:
        for layer in layers:
            vars(layer)["forward"] = _placeholder(layer)
        yield
    finally:
        for layer in layers:
            vars(layer).pop("forward", None)


def _placeholder(layer: ConvLSTM2d) -> Callable[[Tensor, int], Tensor]:
    kernel = layer.weight.shape[-1]
    peepholes = () if layer.peepholes is None else (layer.peepholes,)

    def forward(x: Tensor, steps: int) -> Tensor:
        sizes = (int(x.shape[2]), int(x.shape[3]))
        pads = (
            [same_padding(size, kernel, layer.stride) for size in sizes]
            if layer.padding == "same"
            else [(0, 0), (0, 0)]
        )
        (top, bottom), (left, right) = pads
        height, width = (
            (size + sum(pad) - kernel) // layer.stride + 1
            for size, pad in zip(sizes, pads, strict=True)
        )
        return torch.onnx.ops.symbolic(
            f"{DOMAIN}::{_NAME}",
            (x, layer.weight, layer.recurrent_weight, layer.bias, *peepholes),
            {
                "steps": steps,
                "stride": layer.stride,
                "kernel": kernel,
                "pads": [top, left, bottom, right],
                "channels": int(layer.weight.shape[1]),
                "filters": layer.filters,
                "size": list(sizes),
            },
            dtype=x.dtype,
            shape=(x.shape[0], layer.filters, height, width),
            version=1,
        )

    return forward


def convolutions(layer: Layer) -> Nodes:
    """The layer as two convolutions over (T * N, C, H, W), as it is defined."""
    nodes = Nodes(layer.result)
    shape = [layer.kernel, layer.kernel]
    before, after = same_padding(layer.kernel, layer.kernel, 1)
    inputs = nodes.add(
        "Conv",
        [layer.x, layer.weight, layer.bias],
        "inputs",
        kernel_shape=shape,
        strides=[layer.stride, layer.stride],
        pads=list(layer.pads),
    )
    peepholes = nodes.split(layer.peepholes, "peephole", 3, 0) if layer.peepholes else []
    cell = Cell(nodes, 1, peepholes)
    hidden: list[str] = []
    for step, gates in enumerate(nodes.split(inputs, "frame", layer.steps, 0)):
        if hidden:
            recurrent = nodes.add(
                "Conv",
                [hidden[-1], layer.recurrent_weight],
                f"{step}/recurrent",
                kernel_shape=shape,
                pads=[before, before, after, after],
            )
            gates = nodes.add("Add", [gates, recurrent], f"{step}/gates")
        hidden.append(cell.step(gates))
    nodes.rename(nodes.join(hidden, "states", 0), layer.result)
    return nodes
