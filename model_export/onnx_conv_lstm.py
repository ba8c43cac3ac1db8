"""Convolutional LSTMs in an ONNX graph: one placeholder each, then plain nodes.

Traced step by step, a network of LSTMs becomes thousands of operations to follow, and the
exporter takes minutes. So each layer is traced as a single placeholder node, which is replaced
afterwards by the handful of ONNX operators that compute it, unrolled over time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import onnx
import torch
from onnx import NodeProto, helper
from torch import Tensor, nn

from model_export.layers import ConvLSTM2d, same_padding

_DOMAIN = "deepfake"
_NAME = "ConvLSTM"


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
            f"{_DOMAIN}::{_NAME}",
            (x, layer.weight, layer.recurrent_weight, layer.bias, *peepholes),
            {
                "steps": steps,
                "stride": layer.stride,
                "kernel": kernel,
                "pads": [top, left, bottom, right],
            },
            dtype=x.dtype,
            shape=(x.shape[0], layer.filters, height, width),
            version=1,
        )

    return forward


def expand(model: onnx.ModelProto) -> None:
    """Replace the placeholders in ``model`` by plain ONNX nodes, in place."""
    nodes: list[NodeProto] = []
    for node in model.graph.node:
        nodes += _expanded(node) if node.domain == _DOMAIN else [node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    # A single step convolves no state: its recurrent weights are of no use in the file.
    used = {name for node in nodes for name in node.input}
    weights = [tensor for tensor in model.graph.initializer if tensor.name in used]
    del model.graph.initializer[:]
    model.graph.initializer.extend(weights)
    kept = [opset for opset in model.opset_import if opset.domain != _DOMAIN]
    del model.opset_import[:]
    model.opset_import.extend(kept)


def _expanded(node: NodeProto) -> list[NodeProto]:
    x, kernel_weights, recurrent_weights, bias, *peepholes = node.input
    attributes = {item.name: helper.get_attribute_value(item) for item in node.attribute}
    steps, stride, kernel = (attributes[name] for name in ("steps", "stride", "kernel"))
    result = node.output[0]
    before, after = same_padding(kernel, kernel, 1)
    nodes: list[NodeProto] = []

    def add(operator: str, inputs: list[str], name: str, **attributes: Any) -> str:
        outputs = [f"{result}/{name}"]
        nodes.append(helper.make_node(operator, inputs, outputs, outputs[0], **attributes))
        return outputs[0]

    def split(value: str, name: str, parts: int, axis: int) -> list[str]:
        outputs = [f"{result}/{name}{part}" for part in range(parts)]
        node = helper.make_node(
            "Split", [value], outputs, f"{result}/{name}", axis=axis, num_outputs=parts
        )
        nodes.append(node)
        return outputs

    inputs = add(
        "Conv",
        [x, kernel_weights, bias],
        "inputs",
        kernel_shape=[kernel, kernel],
        strides=[stride, stride],
        pads=list(attributes["pads"]),
    )

    def peeped(gate: str, which: int, name: str) -> str:
        """``gate`` as it sees the cell, where the layer has peepholes and there is a cell."""
        if not (peepholes and cell):
            return gate
        seen = add("Mul", [weights[which], cell], name + "_peephole")
        return add("Add", [gate, seen], name + "_with_peephole")

    weights = split(peepholes[0], "peephole", 3, 0) if peepholes else []
    frames = split(inputs, "frame", steps, 0) if steps > 1 else [inputs]
    hidden: list[str] = []
    cell = ""
    for step, gates in enumerate(frames):
        at = f"{step}/"
        if hidden:
            recurrent = add(
                "Conv",
                [hidden[-1], recurrent_weights],
                at + "recurrent",
                kernel_shape=[kernel, kernel],
                pads=[before, before, after, after],
            )
            gates = add("Add", [gates, recurrent], at + "gates")
        i, f, c, o = split(gates, at + "gate", 4, 1)
        i, f = peeped(i, 0, at + "input"), peeped(f, 1, at + "forget")
        # HardSigmoid's own defaults, alpha 0.2 and beta 0.5, are Keras 2's; written out all the
        # same, because the difference to PyTorch's hides well.
        opened = add("HardSigmoid", [i], at + "input", alpha=0.2, beta=0.5)
        new = add("Mul", [opened, add("Tanh", [c], at + "candidate")], at + "new")
        if cell:
            kept = add("HardSigmoid", [f], at + "forget", alpha=0.2, beta=0.5)
            new = add("Add", [new, add("Mul", [kept, cell], at + "kept")], at + "cell")
        cell = new
        o = peeped(o, 2, at + "output")
        shown = add("HardSigmoid", [o], at + "output", alpha=0.2, beta=0.5)
        hidden.append(add("Mul", [shown, add("Tanh", [cell], at + "squashed")], at + "hidden"))
    if steps > 1:
        nodes.append(helper.make_node("Concat", hidden, [result], result, axis=0))
    else:
        nodes[-1].output[0] = result
    return nodes
