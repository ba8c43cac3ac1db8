"""A model with SCRFD's shape that takes bright cells for faces: no released weights needed."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

STRIDES = (8, 16, 32)
REACH = 2.0
"""Each face box reaches this many strides from its cell in every direction."""


def bright_cell_model(outputs: int = 9) -> onnx.ModelProto:
    """Fixed to 640 x 640 as the released files are; scores, boxes and, with 9 outputs, landmarks
    of two anchors a cell for each stride. A cell whose mean is over 200 is a face."""
    nodes: list[onnx.NodeProto] = []
    constants: list[onnx.TensorProto] = []
    results: dict[str, list[int]] = {}

    def constant(array: NDArray[Any]) -> str:
        constants.append(numpy_helper.from_array(array, f"c{len(constants)}"))
        return constants[-1].name

    def add(op: str, inputs: list[str], output: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(op, inputs, [output], **attributes))
        return output

    landmarks = np.asarray([-1, -1, 1, -1, 0, 0, -1, 1, 1, 1], np.float32)
    kinds = [("score", 1, 40.0, np.full(1, -40 * 0.57)), ("box", 4, 0.0, np.full(4, REACH))]
    if outputs == 9:
        kinds.append(("points", 10, 0.0, landmarks))
    for kind, values, gain, bias in kinds:
        for stride in STRIDES:
            name = f"{kind}{stride}"
            kernel = np.full((2 * values, 3, stride, stride), gain / (3 * stride**2), np.float32)
            value = add(
                "Conv",
                ["images", constant(kernel), constant(np.tile(bias, 2).astype(np.float32))],
                f"{name}_map",
                strides=[stride, stride],
            )
            if kind == "score":
                value = add("Sigmoid", [value], f"{name}_sigmoid")
            value = add("Transpose", [value], f"{name}_rows", perm=[0, 2, 3, 1])
            shape = constant(np.asarray([1, -1, values], np.int64))
            add("Reshape", [value, shape], name)
            results[name] = [1, 2 * (640 // stride) ** 2, values]
    graph = helper.make_graph(
        nodes,
        "bright",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, 640, 640])],
        [helper.make_tensor_value_info(k, TensorProto.FLOAT, v) for k, v in results.items()],
        constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
