"""Writing ONNX nodes one after the other, named after what they belong to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper


class Nodes:
    """Nodes and constants whose names all begin with ``prefix``.

    Every method that adds a node gives the name of its output, for the next one to use.
    """

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []

    def add(self, operator: str, inputs: Sequence[str], name: str, **attributes: Any) -> str:
        """A node with one output."""
        output = f"{self.prefix}/{name}"
        self.nodes.append(helper.make_node(operator, inputs, [output], output, **attributes))
        return output

    def split(self, value: str, name: str, parts: int, axis: int) -> list[str]:
        """Equal parts of ``value``."""
        if parts == 1:
            return [value]
        outputs = [f"{self.prefix}/{name}{part}" for part in range(parts)]
        self.nodes.append(
            helper.make_node(
                "Split", [value], outputs, f"{self.prefix}/{name}", axis=axis, num_outputs=parts
            )
        )
        return outputs

    def join(self, values: Sequence[str], name: str, axis: int) -> str:
        """The values behind one another."""
        return values[0] if len(values) == 1 else self.add("Concat", values, name, axis=axis)

    def floats(self, array: NDArray[Any], name: str) -> str:
        """A float32 constant."""
        return self._constant(np.asarray(array, np.float32), name)

    def integers(self, array: NDArray[np.int64] | Sequence[int], name: str) -> str:
        """An int64 constant."""
        return self._constant(np.asarray(array, np.int64), name)

    def reshape(self, value: str, shape: Sequence[int], name: str) -> str:
        """``value`` in another shape; -1 is what is left."""
        return self.add("Reshape", [value, self.integers(shape, f"{name}_shape")], name)

    def transpose(self, value: str, order: Sequence[int], name: str) -> str:
        """``value`` with its axes in another order."""
        return self.add("Transpose", [value], name, perm=list(order))

    def pad(self, value: str, pads: Sequence[int], name: str, filled: float = 0.0) -> str:
        """``value`` with more entries before (first half of ``pads``) and after each axis."""
        inputs = [value, self.integers(pads, f"{name}_pads")]
        return self.add("Pad", [*inputs, self.floats(np.array(filled), f"{name}_value")], name)

    def rename(self, value: str, output: str) -> None:
        """Let what makes ``value``, the last node, make ``output`` instead."""
        assert self.nodes[-1].output[0] == value
        self.nodes[-1].output[0] = output

    def _constant(self, array: NDArray[Any], name: str) -> str:
        full = f"{self.prefix}/{name}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(array), full))
        return full
