"""Convolutional LSTMs over rows of channels, (T * N, positions, C): every sum a matrix product.

A pointwise convolution is a matrix product of such rows as they lie; any other one of rows that
are gathered first, a kernel's neighbourhood into one. Small grids with many channels are quicker
so than as convolutions over (N, C, H, W), whose memory a runtime arranges anew before and after.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from model_export.graph.cell import Cell
from model_export.graph.conv_lstm import Layer
from model_export.graph.nodes import Nodes
from model_export.layers import same_padding


@dataclass(frozen=True)
class Rows:
    """A value (T * N, positions, channels) that stands for an image (T * N, channels, height,
    width); ``order`` (height, width) says at which position each place of the image is."""

    value: str
    channels: int
    order: NDArray[np.int64]
    positions: int

    @classmethod
    def raster(cls, value: str, channels: int, grid: tuple[int, int]) -> Rows:
        """Rows in the image's own order."""
        positions = grid[0] * grid[1]
        return cls(value, channels, np.arange(positions).reshape(grid), positions)

    def gathered(
        self, nodes: Nodes, places: NDArray[np.int64], name: str, filled: float = 0.0
    ) -> str:
        """(T * N, places.size, channels); the place ``positions`` is outside: ``filled``."""
        if np.array_equal(places.reshape(-1), np.arange(self.positions)):
            return self.value
        value = self.value
        if places.max() == self.positions:
            value = nodes.pad(value, [0, 0, 0, 0, 1, 0], f"{name}_padded", filled)
        index = nodes.integers(places.reshape(-1), f"{name}_index")
        return nodes.add("Gather", [value, index], name, axis=1)

    def windows(
        self, kernel: int, stride: int = 1, pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    ) -> NDArray[np.int64]:
        """(h, w, kernel, kernel): what lies under a kernel; ``pads`` top, left, bottom, right."""
        top, left, bottom, right = pads
        around = ((top, bottom), (left, right))
        order = np.pad(self.order, around, constant_values=self.positions)
        windows = np.lib.stride_tricks.sliding_window_view(order, (kernel, kernel))
        return np.asarray(windows[::stride, ::stride])


def to_rows(nodes: Nodes, image: str, channels: int, size: tuple[int, int]) -> Rows:
    """Rows of ``image`` (T * N, channels, *size)."""
    turned = nodes.transpose(image, [0, 2, 3, 1], "turned")
    rows = Rows.raster("", channels, size)
    return replace(rows, value=nodes.reshape(turned, [-1, rows.positions, channels], "rows"))


def to_image(nodes: Nodes, rows: Rows) -> str:
    """The image that ``rows`` stand for."""
    value = rows.gathered(nodes, rows.order, "raster")
    turned = nodes.transpose(value, [0, 2, 1], "channels_first")
    return nodes.reshape(turned, [-1, rows.channels, *rows.order.shape], "image")


def in_rows(
    nodes: Nodes, layer: Layer, x: Rows, weights: Mapping[str, NDArray[np.float32]]
) -> Rows:
    """The layer's hidden states of ``x``; ``weights`` are the graph's, by name."""
    filters = layer.filters

    def kernels(name: str) -> str:
        """(taps * inputs, gates) of a weight (gates, inputs, k, k)."""
        turned = weights[name].transpose(2, 3, 1, 0)
        return nodes.floats(turned.reshape(-1, 4 * filters), name)

    def sums(rows: Rows, places: NDArray[np.int64], kernel: str, added: str, at: str) -> str:
        """(T * N * positions, gates): ``added`` and the convolution of ``rows``."""
        value = rows.gathered(nodes, places, f"{at}neighbours")
        flat = nodes.reshape(value, [-1, layer.kernel**2 * rows.channels], f"{at}flat")
        return nodes.add("Gemm", [flat, kernel, added], f"{at}sums")

    places = x.windows(layer.kernel, layer.stride, layer.pads)
    gates = sums(x, places, kernels(layer.weight), layer.bias, "")
    state = Rows.raster("", filters, layer.grid)
    before, after = same_padding(layer.kernel, layer.kernel, 1)
    around = state.windows(layer.kernel, 1, (before, before, after, after))
    recurrent = kernels(layer.recurrent_weight) if layer.steps > 1 else ""
    peepholes: list[str] = []
    if layer.peepholes:
        peepholes = nodes.split(
            nodes.reshape(layer.peepholes, [3, filters], "peepholes"), "peephole", 3, 0
        )
    cell = Cell(nodes, -1, peepholes)
    hidden: list[str] = []
    for step, frame in enumerate(nodes.split(gates, "frame", layer.steps, 0)):
        if hidden:
            last = nodes.reshape(hidden[-1], [-1, state.positions, filters], f"{step}/last")
            frame = sums(replace(state, value=last), around, recurrent, frame, f"{step}/")
        hidden.append(cell.step(frame))
    states = nodes.join(hidden, "states", 0)
    return replace(state, value=nodes.reshape(states, [-1, state.positions, filters], "rows"))


def normalised(
    nodes: Nodes, rows: Rows, scale: NDArray[np.float64], shift: NDArray[np.float64]
) -> Rows:
    """``rows`` times ``scale`` plus ``shift``, both (channels,)."""
    value = nodes.add("Mul", [rows.value, nodes.floats(scale, "scale")], "scaled")
    return replace(rows, value=nodes.add("Add", [value, nodes.floats(shift, "shift")], "rows"))


def padded(nodes: Nodes, rows: Rows, pads: tuple[int, int, int, int], filled: float) -> Rows:
    """``rows`` with places around the image; ``pads`` top, left, bottom, right."""
    places = rows.windows(1, 1, pads)[..., 0, 0]
    value = rows.gathered(nodes, places, "rows", filled)
    return Rows.raster(value, rows.channels, (places.shape[0], places.shape[1]))


def pooled(nodes: Nodes, rows: Rows, kernel: int, stride: int) -> Rows:
    """The largest of every window."""
    places = rows.windows(kernel, stride).transpose(2, 3, 0, 1)
    grid = (places.shape[2], places.shape[3])
    value = rows.gathered(nodes, places, "neighbours")
    shape = [-1, kernel**2, grid[0] * grid[1], rows.channels]
    value = nodes.reshape(value, shape, "windows")
    axes = nodes.integers([1], "axes")
    largest = nodes.add("ReduceMax", [value, axes], "rows", keepdims=0)
    return Rows.raster(largest, rows.channels, grid)
