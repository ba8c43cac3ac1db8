"""Crops: where they are taken, how they are scaled, and that hostile boxes cost nothing."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from numpy.typing import NDArray

from service.faces.crops import crop, square, union_box
from service.faces.detector import Box


@pytest.fixture
def frame() -> NDArray[np.uint8]:
    """Red holds the column, green the row."""
    rows, columns = np.mgrid[:200, :240].astype(np.uint8)
    return np.stack([columns, rows, np.zeros_like(rows)], axis=-1)


def test_the_square_is_centred_and_as_long_as_the_margin_says() -> None:
    assert square((10.0, 20.0, 30.0, 60.0), 1.5) == (-10.0, 10.0, 50.0, 70.0)


def test_an_unscaled_crop_holds_the_pixels_themselves(frame: NDArray[np.uint8]) -> None:
    result = crop(frame, (60.0, 50.0, 100.0, 90.0), 1.5, (60, 60))
    assert result.dtype == np.uint8
    np.testing.assert_array_equal(result, frame[40:100, 50:110])


def test_beyond_the_frame_its_edge_is_repeated(frame: NDArray[np.uint8]) -> None:
    result = crop(frame, (-20.0, 180.0, 20.0, 220.0), 1.0, (40, 40))
    np.testing.assert_array_equal(result[:20, 20:], frame[180:, :20])
    assert (result[:, :20, 0] == 0).all()
    assert (result[20:, :, 1] == 199).all()


def test_shrinking_averages() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    means = noise.reshape(10, 4, 10, 4, 3).mean(axis=(1, 3))
    result = crop(noise, (0.0, 0.0, 40.0, 40.0), 1.0, (10, 10))
    np.testing.assert_allclose(result, means, atol=0.51)


def test_enlarging_interpolates(frame: NDArray[np.uint8]) -> None:
    result = crop(frame, (60.0, 60.0, 80.0, 80.0), 1.0, (80, 80))
    steps = np.diff(result[40, :, 0].astype(int))
    assert steps.min() >= 0
    assert steps.max() <= 1


def test_height_comes_before_width(frame: NDArray[np.uint8]) -> None:
    assert crop(frame, (60.0, 60.0, 100.0, 100.0), 1.3, (24, 48)).shape == (24, 48, 3)


@pytest.mark.parametrize("side", [2e3, 1e5, 1e9, 1e100])
def test_a_huge_box_takes_little_memory(frame: NDArray[np.uint8], side: float) -> None:
    tracemalloc.start()
    result = crop(frame, (-side, -side, side, side), 1.3, (64, 64))
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert result.shape == (64, 64, 3)
    assert most < 32 * 2**20
    assert result[0, 0, 0] <= result[32, 32, 0] <= result[-1, -1, 0]


def test_a_face_larger_than_its_frame_is_cropped_like_any_other() -> None:
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (12, 15, 3), dtype=np.uint8)
    frame = np.kron(noise, np.ones((20, 20, 1), dtype=np.uint8))
    # One and the same square, just below and just above the side that takes the other way.
    below, above = (
        crop(frame, (-30.0 - d, -60.0 - d, 330.0 + d, 300.0 + d), 1.25, (90, 90)) for d in (0, 1)
    )
    assert np.abs(below.astype(int) - above.astype(int)).mean() < 2


@pytest.mark.parametrize(
    "box",
    [
        (10.0, 10.0, 10.0, 20.0),
        (20.0, 10.0, 10.0, 20.0),
        (0.0, 0.0, float("nan"), 5.0),
        (0.0, 0.0, float("inf"), 5.0),
        (240.0, 0.0, 260.0, 20.0),
        (-20.0, 0.0, 0.0, 20.0),
    ],
)
def test_boxes_without_a_face_are_refused(frame: NDArray[np.uint8], box: Box) -> None:
    with pytest.raises(ValueError, match="box"):
        crop(frame, box, 1.3, (8, 8))


def test_union_box_holds_all() -> None:
    assert union_box([(1.0, 5.0, 9.0, 9.0), (2.0, 3.0, 11.0, 8.0)]) == (1.0, 3.0, 11.0, 9.0)
    with pytest.raises(ValueError, match="no box"):
        union_box([])
