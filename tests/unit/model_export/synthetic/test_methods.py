"""Each stand-in leaves the traces it is meant to leave, where it is meant to, on faces at rest."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from model_export.synthetic.forging import Recording, finish, forge_segment
from model_export.synthetic.methods import METHODS
from model_export.synthetic.segments import Segment

NAMES = tuple(METHODS)
SEEDS = range(3)

Floats = NDArray[np.float64]


class Forged:
    """A forgery of ``face``: frames as float64, mask 0 to 1, and what changed."""

    def __init__(
        self, name: str, face: Segment, stranger: Segment, seed: int, strength: float = 1.0
    ) -> None:
        rng = np.random.default_rng(seed)
        plan = METHODS[name].draw(rng, strength)
        frames, mask = forge_segment(face, plan, stranger, rng)
        self.pixels, self.where = frames, mask
        self.frames: Floats = frames.astype(np.float64)
        self.mask: Floats = mask / 255.0
        self.change: Floats = self.frames - face.frames

    @property
    def colour(self) -> Floats:
        """Mean change of each frame's colour under the mask, (T, 3)."""
        weight = self.mask[..., None]
        return np.asarray((self.change * weight).sum(axis=(1, 2)) / weight.sum(axis=(1, 2)))

    @property
    def detail(self) -> float:
        """Energy of fine structure well inside the mask, over that of the real face."""
        real = self.frames - self.change
        inside = self.mask[0] > 0.95
        fine = [
            np.square(cv2.Laplacian(image[0].mean(axis=-1), cv2.CV_64F))[inside].mean()
            for image in (self.frames, real)
        ]
        return float(fine[0] / fine[1])


@pytest.fixture(scope="module")
def forged(face: Segment, stranger: Segment):  # type: ignore[no-untyped-def]
    """Forgeries by name and seed, each made once."""

    @cache
    def make(name: str, seed: int, strength: float = 1.0) -> Forged:
        return Forged(name, face, stranger, seed, strength)

    return make


def test_there_are_six_and_one_is_held_out() -> None:
    assert NAMES == ("DF", "FS", "F2F", "NT", "DFD", "DFW")
    assert [name for name in NAMES if METHODS[name].held_out] == ["DFW"]
    assert all("synthetic stand-in for" in METHODS[name].words for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_only_the_face_is_changed_and_only_inside_the_mask(name, forged, face) -> None:  # type: ignore[no-untyped-def]
    for seed in SEEDS:
        one = forged(name, seed)
        changed = (one.pixels != face.frames).any(axis=-1)
        assert changed.any(axis=(1, 2)).all()
        assert not (changed & (one.where == 0)).any()
        x0, y0, x1, y1 = face.faces[0].box
        y, x = np.nonzero(one.where[0] > 127)
        assert x0 - 10 < x.min() < x.max() < x1 + 10
        assert y0 - 10 < y.min() < y.max() < y1 + 10


@pytest.mark.parametrize("name", NAMES)
def test_the_same_state_gives_the_same_frames(name, forged, face, stranger) -> None:  # type: ignore[no-untyped-def]
    assert np.array_equal(forged(name, 0).pixels, Forged(name, face, stranger, 0).pixels)
    assert not np.array_equal(forged(name, 0).pixels, forged(name, 1).pixels)


@pytest.mark.parametrize("name", NAMES)
def test_traces_grow_with_the_strength(name, forged) -> None:  # type: ignore[no-untyped-def]
    """Against the same forgery without traces: a swap without traces still is a swap."""
    sizes = np.array(
        [
            [
                np.abs(forged(name, seed, strength).frames - forged(name, seed, 1e-6).frames).mean()
                for strength in (0.5, 1.0, 1.5)
            ]
            for seed in SEEDS
        ]
    ).mean(axis=0)
    assert (np.diff(sizes) > 0.05 * sizes[-1]).all(), sizes


@pytest.mark.parametrize("name", ["DF", "F2F", "NT"])
def test_without_strength_the_face_is_its_own(name, forged) -> None:  # type: ignore[no-untyped-def]
    late = {"NT": 1.0}.get(name, 0.6)
    assert np.abs(forged(name, 0, 1e-6).change).mean() < late


def test_nt_touches_the_mouth_alone(forged, face) -> None:  # type: ignore[no-untyped-def]
    eyes, mouth = face.faces[0].landmarks[:2], face.faces[0].landmarks[3:]
    for seed in SEEDS:
        y, _ = np.nonzero(np.abs(forged("NT", seed).change[0]).max(axis=-1))
        assert y.min() > eyes[:, 1].max() + 4
        assert y.min() < mouth[:, 1].min() < mouth[:, 1].max() < y.max()
        for name in ("DF", "F2F", "FS"):
            higher, _ = np.nonzero(np.abs(forged(name, seed).change[0]).max(axis=-1))
            assert higher.min() < eyes[:, 1].min()


def test_df_is_blurred_and_of_another_colour_and_flickers(forged) -> None:  # type: ignore[no-untyped-def]
    for seed in SEEDS:
        one = forged("DF", seed)
        assert one.detail < 0.3
        assert np.abs(one.colour.mean(axis=0)).max() > 2
    flicker = {name: np.mean([_flicker(forged(name, s)) for s in SEEDS]) for name in NAMES}
    assert flicker["DF"] > 1.5
    assert flicker["DF"] > 2 * max(flicker["FS"], flicker["F2F"], flicker["NT"]), flicker


def _flicker(one: Forged) -> float:
    """Deviation of the face's brightness over time."""
    return float(one.colour.mean(axis=1).std())


def test_f2f_trembles_without_a_seam(forged) -> None:  # type: ignore[no-untyped-def]
    for seed in SEEDS:
        one = forged("F2F", seed)
        assert np.abs(one.colour).mean() < np.abs(forged("DF", seed).colour).mean() / 3
        # Changes from frame to frame, though the real face is at rest, and not in brightness.
        assert np.abs(np.diff(one.frames, axis=0))[:, one.mask[0] > 0.9].mean() > 1
        assert _flicker(one) < 1
        rim = (one.mask[0] > 0.02) & (one.mask[0] < 0.3)
        assert np.abs(one.change[:, rim]).mean() < 1.5


def test_fs_shows_another_person_sharpened_in_the_colours_of_the_first(
    forged, face, stranger
) -> None:  # type: ignore[no-untyped-def]
    for seed in SEEDS:
        one = forged("FS", seed)
        assert np.abs(one.change[0][one.mask[0] > 0.9]).mean() > 8
        assert np.abs(one.colour.mean(axis=0)).max() < 15
    sharp, plain = (
        np.mean([forged("FS", seed, strength).detail for seed in SEEDS]) for strength in (1.0, 1e-6)
    )
    assert sharp > 1.3 * plain
    # Who is put there is who was lent: their own face put back changes little.
    own = Forged("FS", face, face, 0, 1e-6)
    assert np.abs(own.change).mean() < np.abs(forged("FS", 0, 1e-6).change).mean() / 4


def test_dfd_swaps_in_several_ways_and_blends_better(forged) -> None:  # type: ignore[no-untyped-def]
    details = [forged("DFD", seed).detail / forged("FS", seed, 1e-6).detail for seed in range(6)]
    assert min(details) < 0.75
    assert max(details) > 1.2
    assert _rim(forged("DFD", 0)) > 1.5 * _rim(forged("FS", 0))


def _rim(one: Forged) -> float:
    """Share of the mask that is neither in nor out."""
    soft = (one.mask[0] > 0.05) & (one.mask[0] < 0.95)
    return float(soft.sum() / (one.mask[0] > 0.05).sum())


def test_nt_lays_a_pattern_over_the_mouth(forged) -> None:  # type: ignore[no-untyped-def]
    for seed in SEEDS:
        assert forged("NT", seed).detail > 1.3 * forged("NT", seed, 1e-6).detail


def test_dfw_mixes_and_is_finished(face: Segment) -> None:
    plans = [METHODS["DFW"].draw(np.random.default_rng(seed), 1.0) for seed in range(30)]
    assert len({tuple(layer.recipe.family for layer in plan.layers) for plan in plans}) == 3
    assert {len(plan.layers) for plan in plans} == {1, 2}
    kinds = {kind for plan in plans if plan.finish for kind, _ in plan.finish.degradations}
    assert kinds == {"resize", "blur", "jpeg", "h264"}
    assert all(plan.finish and plan.finish.degradations for plan in plans)
    assert not any(METHODS[name].draw(np.random.default_rng(0), 1.0).finish for name in NAMES[:5])

    first = plans[0].finish
    assert first
    finished = finish(face.frames[:3], first, np.random.default_rng(0))
    assert finished.shape == face.frames[:3].shape
    # All of the frame, also what nobody forged.
    assert (finished[:, :8, :8] != face.frames[:3, :8, :8]).any()


def test_a_grade_is_a_gain_and_a_gamma(face: Segment) -> None:
    plan = METHODS["DFW"].draw(np.random.default_rng(0), 1.0)
    assert plan.finish
    plain = replace(plan.finish, gain=(1.0, 1.0, 1.0), gamma=1.0, degradations=())
    rng = np.random.default_rng(0)
    assert np.array_equal(finish(face.frames, plain, rng), face.frames)
    red = finish(face.frames, replace(plain, gain=(0.5, 1.0, 1.0)), rng)
    assert np.abs(red[..., 0] - face.frames[..., 0] / 2).max() <= 0.5
    assert np.array_equal(red[..., 1:], face.frames[..., 1:])
    assert finish(face.frames, replace(plain, gamma=0.8), rng).mean() > face.frames.mean() + 2


def test_a_recording_is_the_same_for_twins(face: Segment) -> None:
    recording = Recording(120.0, (("noise", 2.0), ("jpeg", 80.0)), noise_seed=7, quality=20)
    other = face.frames.copy()
    other[:, :10] = 0
    one, two = recording.apply(face.frames), recording.apply(other)
    assert not np.array_equal(one, face.frames)
    assert np.array_equal(one[:, 32:], two[:, 32:])


def test_a_swap_needs_somebody(face: Segment) -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="donor"):
        forge_segment(face, METHODS["FS"].draw(rng, 1.0), None, rng)
