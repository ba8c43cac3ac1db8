"""A convolutional LSTM's sums on Fourier tiles: few multiplications, all in matrix products.

A k x k convolution over C channels into O takes k^2 C O multiplications a pixel. On square tiles of
n = m + k - 1 pixels, of which m^2 are results (overlap-save; the rest overlap their neighbours), it
is a product in the frequency domain: n^2 / m^2 times two real multiplications a channel pair,
whatever k, and the transforms, which are matrix products with constants. For the stem of the full
CLRNet (7x7, 64 channels) that is under a quarter of the work, to the same precision.

Input and recurrent convolution are one here: the hidden state (C channels) and the frame, taken
apart into its stride^2 phases, lie side by side as channels of one grid, with a channel of ones
whose weight is the bias.

The kernels' spectra are nodes on constants too, which a runtime computes once when it loads the
file: the file holds the weights as they are.

Source: discrete Fourier transform and overlap-save as in any textbook; for convolutional networks
Mathieu, Henaff, LeCun (2013).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from model_export.graph.cell import Cell
from model_export.graph.conv_lstm import Layer
from model_export.graph.nodes import Nodes
from model_export.graph.rows import Rows
from model_export.layers import same_padding

GAIN = 2.0
"""Tiles are taken where they save this factor of multiplications: transforms have smaller matrices
than the convolution, and memory to move."""
FEWEST = 32
"""Tiles on a grid: each is one row of a matrix product for every frequency, whose other factor, a
kernel's spectrum, has to be read from memory for so many rows alone."""
_OUTPUTS = range(4, 17)
"""Tried for m."""


@dataclass(frozen=True)
class Tiling:
    """A grid (height, width) cut into tiles for kernels of ``kernel`` taps.

    Positions of the grid are in tiled order: first those at the same place of every tile.
    """

    height: int
    width: int
    kernel: int
    outputs: int
    """m, results along an axis of a tile."""

    @property
    def side(self) -> int:
        """n, pixels along an axis of a tile."""
        return self.outputs + self.kernel - 1

    @property
    def before(self) -> int:
        """Pixels of a tile in front of its first result."""
        return same_padding(self.kernel, self.kernel, 1)[0]

    @property
    def tiles(self) -> tuple[int, int]:
        """Down and across."""
        return -(-self.height // self.outputs), -(-self.width // self.outputs)

    @property
    def positions(self) -> int:
        """Of all results; more than the grid has where the tiles reach over its edge."""
        return self.outputs**2 * self.tiles[0] * self.tiles[1]

    @cached_property
    def order(self) -> NDArray[np.int64]:
        """(height, width): where in tiled order each position of the grid is."""
        m, (_, across) = self.outputs, self.tiles
        rows, columns = np.indices((self.height, self.width))
        place = rows % m * m + columns % m
        return place * self.tiles[0] * across + rows // m * across + columns // m

    @cached_property
    def gathered(self) -> NDArray[np.int64]:
        """(n^2 * tiles,): tiled positions of every tile's pixels; ``positions`` is outside."""
        down, across = (np.arange(count) * self.outputs for count in self.tiles)
        pixels = np.arange(self.side) - self.before
        rows = pixels[:, None, None, None] + down[None, None, :, None]
        columns = pixels[None, :, None, None] + across[None, None, None, :]
        rows, columns = np.broadcast_arrays(rows, columns)
        inside = (rows >= 0) & (rows < self.height) & (columns >= 0) & (columns < self.width)
        found = np.full(rows.shape, self.positions)
        found[inside] = self.order[rows[inside], columns[inside]]
        return found.reshape(-1)

    @cached_property
    def frequencies(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(S, 2) frequencies whose mirror images are left out, and (S,) how many each stands
        for: a real signal's spectrum at -f is the conjugate of that at f."""
        n = self.side
        every = _square(n)
        mirrored = -every % n
        first, second = every @ (n, 1), mirrored @ (n, 1)
        kept = first <= second
        return every[kept], np.where(first == second, 1, 2)[kept]

    def phases(self, pixels: NDArray[np.int64]) -> NDArray[np.float64]:
        """(S, P) angles of pixels (P, 2) at the frequencies."""
        turns = self.frequencies[0] @ pixels.T % self.side
        return 2 * np.pi * turns / self.side

    @property
    def forward(self) -> NDArray[np.float64]:
        """(2 S, n^2): real and imaginary part of each frequency, of a tile's pixels."""
        angles = self.phases(_square(self.side))
        return np.stack([np.cos(angles), -np.sin(angles)], 1).reshape(-1, self.side**2)

    @property
    def backward(self) -> NDArray[np.float64]:
        """(m^2, 2 S): a tile's results of real and imaginary part of each frequency."""
        angles = self.phases(_square(self.outputs))
        share = self.frequencies[1][:, None] / self.side**2
        parts = np.stack([share * np.cos(angles), -share * np.sin(angles)], 1)
        return parts.reshape(-1, self.outputs**2).T

    def taps(self, pixels: NDArray[np.int64]) -> NDArray[np.float64]:
        """(S, 2, 2, P): what taps at pixels (P, 2) of a tile do to a frequency, as a real matrix
        from its real and imaginary part to those of the product. Conjugated, since the
        convolutions of networks do not mirror their kernels."""
        angles = self.phases(pixels)
        cos, sin = np.cos(angles), np.sin(angles)
        return np.stack([np.stack([cos, -sin], 1), np.stack([sin, cos], 1)], 1)

    def multiplications(self, channels: int, outputs: int) -> int:
        """Of one step from ``channels`` to ``outputs``."""
        tiles, parts = self.tiles[0] * self.tiles[1], 2 * len(self.frequencies[0])
        forward, backward = self.side**2 * parts * channels, self.outputs**2 * parts * outputs
        return tiles * (forward + 2 * parts * channels * outputs + backward)


def tiling(layer: Layer) -> Tiling | None:
    """The tiling with which ``layer`` takes the least work; None where tiles do not pay."""
    square = layer.stride**2
    channels, gates = layer.filters + layer.channels * square + 1, 4 * layer.filters
    if layer.kernel == 1 or not _aligned(layer):
        return None
    candidates = [Tiling(*layer.grid, layer.kernel, outputs) for outputs in _OUTPUTS]
    candidates = [each for each in candidates if each.tiles[0] * each.tiles[1] >= FEWEST]
    if not candidates:
        return None
    best = min(candidates, key=lambda each: each.multiplications(channels, gates))
    taps = layer.kernel**2 * (layer.filters + layer.channels)
    direct = layer.grid[0] * layer.grid[1] * taps * gates
    return best if direct >= GAIN * best.multiplications(channels, gates) else None


def tiled(nodes: Nodes, layer: Layer, tiling: Tiling) -> Rows:
    """The layer's hidden states, in tiled order, of the image ``layer.x``."""
    size = tiling.positions
    frames = _frames(nodes, layer, tiling)
    spectra = _spectra(nodes, layer, tiling)
    neighbours = nodes.integers(tiling.gathered, "neighbours")
    peepholes: list[str] = []
    if layer.peepholes:
        flat = nodes.reshape(layer.peepholes, [3, layer.filters], "peepholes")
        peepholes = nodes.split(flat, "peephole", 3, 0)
    cell = Cell(nodes, -1, peepholes)
    hidden: list[str] = []
    for step, frame in enumerate(frames):
        at, kernel = f"{step}/", spectra[bool(hidden)]
        state = nodes.join([*hidden[-1:], frame], at + "state", -1)
        padded = nodes.pad(state, [0, 0, 0, 1, 0, 0], at + "padded")
        pixels = nodes.add("Gather", [padded, neighbours], at + "pixels", axis=0)
        gates = _convolved(nodes, tiling, pixels, kernel, at)
        hidden.append(cell.step(nodes.reshape(gates, [size, -1, 4 * layer.filters], at + "gates")))
    turned = [
        nodes.transpose(each, [1, 0, 2], f"{step}/turned") for step, each in enumerate(hidden)
    ]
    return Rows(nodes.join(turned, "rows", 0), layer.filters, tiling.order, size)


@dataclass(frozen=True)
class _Spectrum:
    """Value (S, 2, 2 * channels, gates) and its size."""

    value: str
    channels: int


def _convolved(nodes: Nodes, tiling: Tiling, pixels: str, kernel: _Spectrum, at: str) -> str:
    """(m^2, tiles * N * gates) of pixels (n^2 * tiles, N, channels)."""
    count, channels = len(tiling.frequencies[0]), kernel.channels
    flat = nodes.reshape(pixels, [tiling.side**2, -1], at + "flat")
    found = nodes.add("MatMul", [_constant(nodes, tiling, "forward"), flat], at + "spectrum")
    found = nodes.reshape(found, [count, 2, -1, channels], at + "parts")
    found = nodes.transpose(found, [0, 2, 1, 3], at + "interleaved")
    found = nodes.reshape(found, [count, 1, -1, 2 * channels], at + "vectors")
    product = nodes.add("MatMul", [found, kernel.value], at + "product")
    product = nodes.reshape(product, [2 * count, -1], at + "products")
    return nodes.add("MatMul", [_constant(nodes, tiling, "backward"), product], at + "sums")


def _constant(nodes: Nodes, tiling: Tiling, name: str) -> str:
    full = f"{nodes.prefix}/{name}"
    if any(each.name == full for each in nodes.constants):
        return full
    return nodes.floats(getattr(tiling, name), name)


def _frames(nodes: Nodes, layer: Layer, tiling: Tiling) -> list[str]:
    """Each step's frame (positions, N, stride^2 * channels + 1), in tiled order."""
    (height, width), stride = layer.grid, layer.stride
    missing = [stride * size - given for size, given in zip(layer.grid, layer.size, strict=True)]
    x = layer.x
    if any(missing):
        x = nodes.pad(x, [0, 0, 0, 0, 0, 0, *missing], "whole")
    x = nodes.reshape(x, [-1, layer.channels, height, stride, width, stride], "phased")
    x = nodes.transpose(x, [0, 2, 4, 3, 5, 1], "phases")
    x = nodes.reshape(x, [-1, height * width, stride**2 * layer.channels], "points")
    x = nodes.pad(x, [0, 0, 0, 0, 0, 1], "with_ones", 1.0)
    raster = np.zeros(tiling.positions, np.int64)  # What is outside the grid is never looked at.
    raster[tiling.order.reshape(-1)] = np.arange(height * width)
    x = nodes.add("Gather", [x, nodes.integers(raster, "raster")], "tiled", axis=1)
    return [
        nodes.transpose(frame, [1, 0, 2], f"{step}/frame")
        for step, frame in enumerate(nodes.split(x, "frames", layer.steps, 0))
    ]


def _spectra(nodes: Nodes, layer: Layer, tiling: Tiling) -> tuple[_Spectrum, _Spectrum]:
    """Kernels without the hidden state, for the first step, and with it."""
    gates, count = 4 * layer.filters, len(tiling.frequencies[0])
    taps = _square(layer.kernel)

    def spectrum(kernels: str, basis: NDArray[np.float64], channels: int, name: str) -> str:
        """(S, 2, 2, channels, gates) of kernels (taps, inputs * gates)."""
        flat = basis.reshape(-1, basis.shape[-1])
        product = nodes.add("MatMul", [nodes.floats(flat, f"{name}_basis"), kernels], name)
        return nodes.reshape(product, [count, 2, 2, channels, gates], f"{name}_parts")

    def kernels(weight: str, name: str) -> str:
        """(taps, inputs * gates) of a weight (gates, inputs, k, k)."""
        turned = nodes.transpose(weight, [2, 3, 1, 0], f"{name}_turned")
        return nodes.reshape(turned, [len(taps), -1], f"{name}_kernels")

    def whole(parts: list[str], channels: int, name: str) -> _Spectrum:
        joined = nodes.join(parts, f"{name}_joined", 3)
        return _Spectrum(nodes.reshape(joined, [count, 2, 2 * channels, gates], name), channels)

    square = layer.stride**2
    inputs = [
        spectrum(
            kernels(layer.weight, "input"),
            _phase_basis(layer, tiling, taps),
            square * layer.channels,
            "input_spectrum",
        ),
        spectrum(
            nodes.reshape(layer.bias, [1, gates], "bias"),
            tiling.taps(np.array([[tiling.before, tiling.before]])),
            1,
            "bias_spectrum",
        ),
    ]
    channels = square * layer.channels + 1
    first = whole(inputs, channels, "first_kernel")
    if layer.steps == 1:
        return first, first
    hidden = spectrum(
        kernels(layer.recurrent_weight, "recurrent"),
        tiling.taps(taps),
        layer.filters,
        "recurrent_spectrum",
    )
    return first, whole([hidden, *inputs], layer.filters + channels, "kernel")


def _phase_basis(layer: Layer, tiling: Tiling, taps: NDArray[np.int64]) -> NDArray[np.float64]:
    """(S, 2, 2, stride^2, taps): each tap of the input kernel falls on one phase of the frame."""
    offsets = taps - layer.pads[:2]
    basis = tiling.taps(offsets // layer.stride + tiling.before)
    phase = offsets % layer.stride @ (layer.stride, 1)
    chosen = phase == np.arange(layer.stride**2)[:, None]
    return np.asarray(basis[..., None, :] * chosen)


def _aligned(layer: Layer) -> bool:
    """Whether the input kernel, on the frame's phases, lies within the recurrent one, and a frame
    within the grid."""
    before, after = same_padding(layer.kernel, layer.kernel, 1)
    first = [-pad // layer.stride for pad in layer.pads[:2]]
    last = [(layer.kernel - 1 - pad) // layer.stride for pad in layer.pads[:2]]
    fits = all(
        size <= layer.stride * grid for size, grid in zip(layer.size, layer.grid, strict=True)
    )
    return fits and min(first) >= -before and max(last) <= after


def _square(side: int) -> NDArray[np.int64]:
    """(side^2, 2) row and column of the pixels of a square."""
    return np.indices((side, side)).reshape(2, -1).T
