"""What a convolutional LSTM does with its summed gate inputs, as ONNX nodes."""

from __future__ import annotations

from model_export.graph.nodes import Nodes


class Cell:
    """The state of one layer while its steps are written.

    Gates lie in the order input, forget, cell, output along ``axis`` of what ``step`` is given.
    ``peepholes`` are three values that broadcast over a gate, or none.
    """

    def __init__(self, nodes: Nodes, axis: int, peepholes: list[str]) -> None:
        self._nodes, self._axis, self._peepholes = nodes, axis, peepholes
        self._state = ""
        self._step = 0

    def step(self, gates: str) -> str:
        """The hidden state after the next step."""
        nodes, at = self._nodes, f"{self._step}/"
        i, f, c, o = nodes.split(gates, at + "gate", 4, self._axis)
        i, f = self._peeped(i, 0, at + "input"), self._peeped(f, 1, at + "forget")
        candidate = nodes.add("Tanh", [c], at + "candidate")
        state = nodes.add("Mul", [self._opened(i, at + "input"), candidate], at + "new")
        if self._state:
            kept = nodes.add("Mul", [self._opened(f, at + "forget"), self._state], at + "kept")
            state = nodes.add("Add", [state, kept], at + "cell")
        self._state = state
        o = self._peeped(o, 2, at + "output")
        shown = self._opened(o, at + "output")
        self._step += 1
        squashed = nodes.add("Tanh", [state], at + "squashed")
        return nodes.add("Mul", [shown, squashed], at + "hidden")

    def _opened(self, gate: str, name: str) -> str:
        # HardSigmoid's own defaults, alpha 0.2 and beta 0.5, are Keras 2's; written out all the
        # same, because the difference to PyTorch's hides well.
        return self._nodes.add("HardSigmoid", [gate], name, alpha=0.2, beta=0.5)

    def _peeped(self, gate: str, which: int, name: str) -> str:
        """``gate`` as it sees the cell, where the layer has peepholes and there is a cell."""
        if not (self._peepholes and self._state):
            return gate
        seen = self._nodes.add("Mul", [self._peepholes[which], self._state], f"{name}_peephole")
        return self._nodes.add("Add", [gate, seen], f"{name}_with_peephole")
