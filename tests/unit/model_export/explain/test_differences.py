"""Differences of consecutive frames."""

from __future__ import annotations

import numpy as np
import pytest

from model_export.data.prepared import PreparedDataset
from model_export.errors import EvaluationError
from model_export.explain.choice import ChosenClip, Selection, drawn_clips
from model_export.explain.differences import FACTOR, difference_maps, differences

from .conftest import LENGTH, SIZE, labelled


def test_identical_frames_differ_in_nothing() -> None:
    frame = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
    maps = difference_maps(np.stack([frame] * LENGTH))
    assert maps.shape == (LENGTH - 1, SIZE, SIZE, 3)
    assert maps.dtype == np.uint8
    assert not maps.any()


def test_differences_are_amplified_and_cut_off_and_have_no_sign() -> None:
    values = np.array([100, 103, 101, 255, 0], np.uint8)
    pixels = np.zeros((5, 1, 1, 3), np.uint8)
    pixels[:, 0, 0, 1] = values
    maps = difference_maps(pixels, 8)
    assert maps[:, 0, 0, 1].tolist() == [24, 16, 255, 255]
    assert not maps[..., [0, 2]].any()
    assert difference_maps(pixels, 1.5)[:2, 0, 0, 1].tolist() == [4, 3]


def test_the_real_twin_stands_below_the_forgery(dataset: PreparedDataset) -> None:
    clips = drawn_clips(dataset, Selection(videos=("r3", "d2"), count=1))
    picture = differences(clips)
    assert picture.title == f"Differences of consecutive frames, times {FACTOR}"
    real, forged = clips
    assert [row.caption for row in picture.rows[::2]] == [
        real.caption,
        forged.caption,
        "r2\nreal, the same frames",
    ]
    assert forged.twin is not None
    shown = (real.pixels, forged.pixels, forged.twin)
    for pixels, frames, changes in zip(shown, picture.rows[::2], picture.rows[1::2], strict=True):
        assert np.array_equal(np.stack([x for x in frames.cells if x is not None]), pixels)
        assert changes.cells[0] is None
        found = np.stack([x for x in changes.cells if x is not None])
        assert np.array_equal(found, difference_maps(pixels))
    assert differences(clips, 2.5).title.endswith("times 2.5")


def test_single_frames_have_no_differences() -> None:
    clip = ChosenClip(labelled("v", "DF", "test"), 0.0, np.zeros((1, 8, 8, 3), np.uint8))
    with pytest.raises(EvaluationError, match="one frame"):
        differences([clip])
