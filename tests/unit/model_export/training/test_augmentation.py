"""Clips are changed as the papers say: all frames alike, within the ranges, edges repeated."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

from model_export.training.augmentation import PRESETS, AugmentationConfig, Chance, augment

NONE = PRESETS["none"]


def _with(**values: object) -> AugmentationConfig:
    return NONE.model_copy(update=values)


def _picture(size: int = 64) -> NDArray[np.uint8]:
    """A colourful gradient without black or white: uint8 (size, size, 3), 60 to 190."""
    y, x = np.mgrid[0:size, 0:size] / (size - 1)
    return np.stack([60 + 130 * x, 60 + 130 * y, 190 - 130 * x * y], axis=-1).astype(np.uint8)


def _clip(length: int = 5) -> NDArray[np.uint8]:
    """The same frame again and again."""
    return np.repeat(_picture()[None], length, axis=0)


def _augmented(config: AugmentationConfig, seed: int) -> NDArray[np.uint8]:
    return augment(_clip(), config, np.random.default_rng(seed))


@pytest.mark.parametrize("preset", ["papers", "code", "mild"])
def test_all_frames_of_a_clip_are_changed_alike(preset: str) -> None:
    for seed in range(20):
        changed = _augmented(PRESETS[preset], seed)
        assert changed.shape == (5, 64, 64, 3)
        assert changed.dtype == np.uint8
        assert (changed == changed[:1]).all()
        assert not np.array_equal(changed, _clip())


def test_clips_are_changed_differently() -> None:
    first, *others = (_augmented(PRESETS["papers"], seed) for seed in range(5))
    assert not any(np.array_equal(first, other) for other in others)


def test_the_same_state_does_the_same_to_a_twin() -> None:
    """Clip and twin differ in one place before and, turned and moved alike, in one place after."""
    noise = Chance(probability=1, low=5, high=20)
    config = PRESETS["papers"].model_copy(update={"noise": noise})
    clip, twin = _clip(), _clip()
    # Darker and lighter than the clip is anywhere.
    twin[:, 28:36, 28:32], twin[:, 28:36, 32:36] = 30, 220
    for seed in range(5):
        one, two = (augment(each, config, np.random.default_rng(seed)) for each in (clip, twin))
        assert np.array_equal(one, augment(clip, config, np.random.default_rng(seed)))
        differs = (one != two).any(axis=(0, -1))
        assert differs.any()
        assert differs.mean() < 0.06


def test_nothing_asked_for_changes_nothing() -> None:
    for seed in range(5):
        assert np.array_equal(_augmented(NONE, seed), _clip())


def test_the_edge_is_repeated() -> None:
    """No black corners: every value of the result is one of the picture."""
    for values in ({"rotation": 180.0}, {"zoom": 0.9}, {"shift": 0.5}):
        for seed in range(10):
            changed = _augmented(_with(**values), seed)
            assert changed.min() >= 58
            assert changed.max() <= 192
    moved = augment(_clip(), _with(shift=0.5), np.random.default_rng(1))[0].astype(int)
    repeated = (np.abs(np.diff(moved, axis=1)).sum(axis=(0, 2)) == 0).sum()
    assert repeated > 3


def _tilt(picture: NDArray[np.uint8]) -> float:
    """Degrees by which the direction of the red gradient is turned."""
    centre = picture[20:44, 20:44, 0].astype(np.float64)
    down, right = np.gradient(centre)
    return float(np.degrees(np.arctan2(down.mean(), right.mean())))


def test_rotation_stays_within_its_range_and_fills_it() -> None:
    tilts = [_tilt(_augmented(_with(rotation=30), seed)[0]) for seed in range(60)]
    assert max(np.abs(tilts)) < 31
    assert min(tilts) < -20
    assert max(tilts) > 20


def test_zoom_draws_width_and_height_apart() -> None:
    shown = []
    for seed in range(60):
        picture = _augmented(_with(zoom=0.2), seed)[0].astype(np.float64)
        middle = picture[28:36, 28:36]
        shown.append(
            (np.diff(middle[..., 0], axis=1).mean(), np.diff(middle[..., 1], axis=0).mean())
        )
    scales = np.array(shown) / (130 / 63)
    assert scales.min() > 0.75
    assert scales.max() < 1.25
    assert np.ptp(scales, axis=0).min() > 0.25
    assert abs(np.corrcoef(scales.T)[0, 1]) < 0.4


def test_half_of_the_clips_are_mirrored() -> None:
    mirrored = 0
    for seed in range(400):
        changed = _augmented(_with(flip=0.5), seed)
        is_mirrored = np.array_equal(changed, _clip()[:, :, ::-1])
        assert is_mirrored or np.array_equal(changed, _clip())
        mirrored += is_mirrored
    # Four deviations of a fair coin.
    assert 160 < mirrored < 240


def test_brightness_is_a_factor_within_its_range() -> None:
    for low, high in ((0.7, 1.3), (0.7, 1.0)):
        config = _with(brightness=(low, high))
        factors = [_augmented(config, seed).mean() / _clip().mean() for seed in range(80)]
        assert low - 0.01 < min(factors) < low + 0.08
        assert high - 0.08 < max(factors) < high + 0.01


def test_channels_are_shifted_together_within_0_and_255() -> None:
    shifts = []
    for seed in range(60):
        changed = _augmented(_with(channel_shift=100), seed).astype(int)
        inner = (changed > 0) & (changed < 255)
        amounts = np.unique((changed - _clip())[inner])
        assert len(amounts) == 1
        shifts.append(int(amounts[0]))
        assert np.array_equal(changed, np.clip(_clip().astype(int) + shifts[-1], 0, 255))
    assert -100 <= min(shifts) < -80
    assert 80 < max(shifts) <= 100


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("jpeg", 10, 20), ("h264", 35, 40), ("blur", 1, 2),
        ("noise", 5, 10), ("downscale", 0.2, 0.4),
    ],
)  # fmt: skip
def test_degradations_befall_their_share_of_clips(name: str, low: float, high: float) -> None:
    noisy = np.random.default_rng(0).integers(60, 190, (2, 32, 32, 3), dtype=np.uint8)
    config = _with(**{name: Chance(probability=0.4, low=low, high=high)})
    changed = [
        not np.array_equal(augment(noisy, config, np.random.default_rng(seed)), noisy)
        for seed in range(60)
    ]
    assert 10 < sum(changed) < 38


def test_presets_in_a_run_s_file() -> None:
    parse = AugmentationConfig.model_validate
    assert AugmentationConfig() == PRESETS["papers"] == parse("papers")
    papers = parse("papers")
    assert (papers.rotation, papers.zoom, papers.flip, papers.channel_shift) == (30, 0.2, 0.5, 50)
    assert (papers.brightness, parse("code").brightness) == ((0.7, 1.3), (0.7, 1.0))
    assert not any((papers.jpeg, papers.h264, papers.blur, papers.noise, papers.downscale))
    changed = parse(
        {"preset": "mild", "rotation": 3, "jpeg": {"probability": 1, "low": 9, "high": 9}}
    )
    assert changed.rotation == 3
    assert changed.zoom == PRESETS["mild"].zoom
    assert parse(changed.model_dump()) == changed


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ("wild", "there are none, papers, code, mild"),
        ({"rotaton": 3}, "rotaton"),
        ({"flip": 1.5}, "flip"),
        ({"brightness": [1.3, 0.7]}, "the smaller one first"),
        ({"blur": {"probability": 1, "low": 2, "high": 1}}, "low must not be above high"),
    ],
)
def test_what_makes_no_sense_is_refused(values: object, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        AugmentationConfig.model_validate(values)
