"""Each degradation does what its name says, more of it at a higher level, and keeps the shape."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from model_export.degradation import KINDS, LEVELS, Kind, degrade


def _clip(height: int = 65, width: int = 47) -> NDArray[np.uint8]:
    """A coloured texture that moves, of odd sizes: uint8 (5, 65, 47, 3)."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (20, 20, 3), dtype=np.uint8)
    large = cv2.resize(coarse, (width + 10, height + 10), interpolation=cv2.INTER_LINEAR)
    noisy = np.clip(large + rng.normal(0, 12, large.shape), 0, 255).astype(np.uint8)
    return np.stack([noisy[i : i + height, i : i + width] for i in range(5)])


def _damage(kind: Kind, level: float) -> float:
    """Mean square error."""
    clip = _clip()
    degraded = degrade(clip, kind, level, np.random.default_rng(1))
    return float(np.mean((degraded.astype(np.float64) - clip) ** 2))


@pytest.mark.parametrize("kind", KINDS)
def test_shape_and_type_stay_and_the_input_is_left_alone(kind: Kind) -> None:
    clip = _clip()
    before = clip.copy()
    degraded = degrade(clip, kind, LEVELS[kind][-1], np.random.default_rng(0))
    assert degraded.shape == clip.shape
    assert degraded.dtype == np.uint8
    assert np.array_equal(clip, before)
    assert not np.shares_memory(degraded, clip)


@pytest.mark.parametrize("kind", KINDS)
def test_levels_go_from_weak_to_strong(kind: Kind) -> None:
    damage = [_damage(kind, level) for level in LEVELS[kind]]
    assert damage[0] > 0.5
    assert damage == sorted(damage)
    # Frames stay recognisable, not black or of another order.
    assert damage[-1] < 0.6 * float(np.var(_clip()))


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_generator_state_gives_the_same_bytes(kind: Kind) -> None:
    one, two = (degrade(_clip(), kind, LEVELS[kind][0], np.random.default_rng(3)) for _ in range(2))
    assert np.array_equal(one, two)


def test_noise_is_drawn_for_every_frame() -> None:
    still = np.full((4, 64, 64, 3), 128, np.uint8)
    noise = degrade(still, "noise", 10, np.random.default_rng(0)).astype(np.float64) - 128
    assert noise.std() == pytest.approx(10, rel=0.05)
    assert abs(np.corrcoef(noise.reshape(4, -1))[np.triu_indices(4, 1)]).max() < 0.05


def test_frames_are_coded_as_one_video() -> None:
    """A frame that repeats the one before costs x264 nothing and comes out as it did."""
    clip = _clip(64, 48)
    still = np.repeat(clip[:1], 5, axis=0)
    coded = degrade(still, "h264", 33, np.random.default_rng(0)).astype(np.int16)
    assert np.abs(np.diff(coded, axis=0)).mean() < np.abs(coded - still).mean() / 4


def test_channels_keep_their_order() -> None:
    red = np.zeros((2, 32, 32, 3), np.uint8)
    red[..., 0] = 200
    for kind in KINDS:
        means = degrade(red, kind, LEVELS[kind][0], np.random.default_rng(0)).mean(axis=(0, 1, 2))
        assert means[0] > 180, kind
        assert means[1:].max() < 20, kind


def test_what_is_unknown_or_out_of_range_is_refused() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="there are h264, jpeg, resize, blur, noise"):
        degrade(_clip(), "sepia", 1, rng)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"resize is between .* and 1, not 2"):
        degrade(_clip(), "resize", 2, rng)
