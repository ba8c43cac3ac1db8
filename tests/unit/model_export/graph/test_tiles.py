"""Convolutions on Fourier tiles are the convolutions, and are chosen where they save work."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.signal import correlate2d

from model_export.graph.conv_lstm import Layer
from model_export.graph.tiles import FEWEST, Tiling, tiling


def stem(filters: int, size: int, kernel: int = 7) -> Layer:
    """CLRNet's first layer on square frames."""
    total = max((-(-size // 2) - 1) * 2 + kernel - size, 0)
    before, after = total // 2, total - total // 2
    return Layer(
        *("x", "weight", "recurrent", "bias"),
        peepholes=None,
        result="states",
        steps=5,
        kernel=kernel,
        stride=2,
        pads=(before, before, after, after),
        channels=3,
        filters=filters,
        size=(size, size),
        grid=(-(-size // 2), -(-size // 2)),
    )


@pytest.mark.parametrize(
    ("height", "width", "kernel", "outputs"),
    [(20, 20, 7, 10), (17, 23, 7, 10), (9, 31, 5, 4), (6, 6, 3, 6), (11, 8, 4, 5), (3, 5, 7, 8)],
)
def test_a_convolution_on_tiles_is_the_convolution(
    height: int, width: int, kernel: int, outputs: int
) -> None:
    rng = np.random.default_rng(0)
    image, taps = rng.normal(size=(height, width)), rng.normal(size=(kernel, kernel))
    cut = Tiling(height, width, kernel, outputs)
    pixels = np.append(np.zeros(cut.positions), 0.0)
    pixels[cut.order] = image
    spectrum = (cut.forward @ pixels[cut.gathered].reshape(cut.side**2, -1)).reshape(
        -1, 2, cut.tiles[0] * cut.tiles[1]
    )
    where = np.indices((kernel, kernel)).reshape(2, -1).T
    product = np.einsum("soip,p,sit->sot", cut.taps(where), taps.reshape(-1), spectrum)
    found = (cut.backward @ product.reshape(-1, product.shape[-1])).reshape(-1)[cut.order]
    np.testing.assert_allclose(found, same(image, taps), atol=1e-12)


def same(image: NDArray[np.float64], taps: NDArray[np.float64]) -> NDArray[np.float64]:
    """The convolution with Keras' padding: the larger half of it after."""
    kernel = len(taps)
    before = (kernel - 1) // 2
    padded = np.pad(image, (before, kernel - 1 - before))
    return np.asarray(correlate2d(padded, taps, mode="valid"))


def test_every_position_has_one_place() -> None:
    cut = Tiling(17, 23, 7, 10)
    places = cut.order.reshape(-1)
    assert len(set(places.tolist())) == 17 * 23
    assert places.max() < cut.positions == 100 * 2 * 3
    assert set(cut.gathered.tolist()) == {*places.tolist(), cut.positions}


def test_the_released_stem_takes_a_quarter_of_the_work() -> None:
    layer = stem(64, 240)
    cut = tiling(layer)
    assert cut is not None
    assert (cut.outputs, cut.side, cut.tiles) == (10, 16, (12, 12))
    step = cut.multiplications(64 + 3 * 4 + 1, 256)
    direct = 120 * 120 * 49 * (64 + 3) * 256
    print(f"{direct / 1e9:.2f} billion multiplications a step, on tiles {step / 1e9:.2f}")
    assert direct / step > 3.5


@pytest.mark.parametrize(
    "layer",
    [stem(64, 240, kernel=1), stem(4, 240), stem(64, 40)],
    ids=["pointwise", "few filters", "few tiles"],
)
def test_tiles_are_left_where_they_do_not_pay(layer: Layer) -> None:
    assert tiling(layer) is None


def test_few_tiles_are_not_taken() -> None:
    sizes = [size for size in range(40, 241, 8) if tiling(stem(64, size))]
    assert sizes
    for size in sizes:
        cut = tiling(stem(64, size))
        assert cut is not None
        assert cut.tiles[0] * cut.tiles[1] >= FEWEST
