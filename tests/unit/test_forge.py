"""Forged clips on drawn faces: the same bytes for the same seed, changed only inside the mask."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from service.faces.detector import Detection
from service.forge import FAMILIES, Donor, Family, Forger, Recipe, draw_recipe, forge
from service.forge.alignment import (
    PAD,
    TEMPLATE,
    fitting_field,
    side_in_frame,
    unit_to_frame,
)

FRAMES = 5


def _face(left: float, top: float, side: float) -> Detection:
    points = (TEMPLATE * side + (left, top)).astype(np.float32)
    return Detection((left, top - 0.1 * side, left + side, top + 1.1 * side), 0.99, points)


def _clip(seed: int, count: int = FRAMES) -> tuple[list[NDArray[np.uint8]], list[Detection]]:
    """A textured face that moves over a textured ground."""
    rng = np.random.default_rng(seed)
    ground = cv2.resize(rng.integers(0, 255, (12, 16, 3), dtype=np.uint8), (200, 160))
    skin = tuple(int(value) for value in rng.integers(120, 230, 3))
    frames, faces = [], []
    for index in range(count):
        face = _face(60 + index, 40 + index / 2, 70)
        image = ground.copy()
        x, y = (int(value) for value in face.landmarks.mean(axis=0))
        cv2.ellipse(image, (x, y), (40, 52), 0, 0, 360, skin, -1)
        for point in face.landmarks:
            cv2.circle(image, (int(point[0]), int(point[1])), 5, (40, 20, 30), -1)
        frames.append(image)
        faces.append(face)
    return frames, faces


def _donor(family: Family) -> Donor | None:
    return Donor(*_clip(seed=9)) if family == "swap" else None


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_changes_the_face_and_nothing_else(family: Family) -> None:
    frames, faces = _clip(1)
    forged = forge(frames, faces, np.random.default_rng(3), family, _donor(family))
    assert forged.family == family
    assert forged.frames.shape == (FRAMES, 160, 200, 3)
    assert forged.frames.dtype == np.uint8
    assert forged.mask.shape == (FRAMES, 160, 200)
    changed = (forged.frames != np.stack(frames)).any(axis=-1)
    assert not (changed & (forged.mask == 0)).any()
    assert changed.any(axis=(1, 2)).all()
    # The forged part is of the face's size, and on the face.
    share = (forged.mask > 127).mean(axis=(1, 2)) * 160 * 200 / 70**2
    assert (share > 0.02).all()
    assert (share < 1.3).all()


@pytest.mark.parametrize("family", FAMILIES)
def test_the_same_seed_gives_the_same_bytes(family: Family) -> None:
    frames, faces = _clip(1)
    one, two, other = (
        forge(frames, faces, np.random.default_rng(seed), family, _donor(family)).frames
        for seed in (5, 5, 6)
    )
    assert np.array_equal(one, two)
    assert not np.array_equal(one, other)


def test_the_input_is_left_alone() -> None:
    frames, faces = _clip(1)
    before = [frame.copy() for frame in frames]
    forge(frames, faces, np.random.default_rng(0), "self_blend")
    assert all(np.array_equal(a, b) for a, b in zip(frames, before, strict=True))


def test_frame_by_frame_equals_the_whole_clip() -> None:
    frames, faces = _clip(1, 12)
    whole = forge(frames, faces, np.random.default_rng(4), "jitter").frames
    rng = np.random.default_rng(4)
    forger = Forger(rng, draw_recipe(rng, "jitter"))
    singly = [forger.paint(a, b, (a, b))[0] for a, b in zip(frames, faces, strict=True)]
    assert np.array_equal(whole, np.stack(singly))


def test_jitter_moves_the_face_against_its_frame() -> None:
    frames, faces = _clip(1)
    still_frames, still_faces = frames[:1] * 8, faces[:1] * 8
    forged = forge(still_frames, still_faces, np.random.default_rng(2), "jitter").frames
    steps = np.abs(np.diff(forged.astype(np.int16), axis=0)).max(axis=(1, 2, 3))
    assert (steps > 5).all()


def test_a_short_donor_is_used_again() -> None:
    frames, faces = _clip(1, 7)
    donor = Donor(*_clip(9, 2))
    assert forge(frames, faces, np.random.default_rng(0), "swap", donor).frames.shape[0] == 7


def test_a_face_outside_the_frame_is_left_alone() -> None:
    frames, _ = _clip(1, 1)
    forged = forge(frames, [_face(900, 900, 60)], np.random.default_rng(0), "self_blend")
    assert np.array_equal(forged.frames[0], frames[0])
    assert not forged.mask.any()


def test_a_face_at_the_edge_works() -> None:
    frames, _ = _clip(1, 1)
    forged = forge(frames, [_face(-30, 120, 80)], np.random.default_rng(0), "low_resolution")
    assert forged.mask.any()


def test_a_family_is_drawn_without_a_donor() -> None:
    frames, faces = _clip(1)
    drawn = {forge(frames, faces, np.random.default_rng(seed)).family for seed in range(20)}
    assert len(drawn) > 3
    assert "swap" not in drawn


def test_what_cannot_be_forged_is_refused() -> None:
    frames, faces = _clip(1)
    with pytest.raises(ValueError, match="donor"):
        forge(frames, faces, np.random.default_rng(0), "swap")
    with pytest.raises(ValueError, match="4 faces"):
        forge(frames, faces[:4], np.random.default_rng(0))
    with pytest.raises(ValueError, match="0 frames"):
        forge([], [], np.random.default_rng(0))


def test_alignment_finds_turn_and_size() -> None:
    turn = np.deg2rad(20)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    matrix = unit_to_frame(TEMPLATE @ (80 * rotation).T + (10, 20))
    assert side_in_frame(matrix) == pytest.approx(80)
    assert matrix[:2, 2] == pytest.approx([10, 20])


def test_fitting_brings_landmarks_to_landmarks() -> None:
    """The field says, at each of the target's landmarks, how far away the source has it."""
    other = np.add(TEMPLATE, [[0, 0], [0, 0], [0.04, 0], [0, 0.04], [0, 0]])
    source, target = TEMPLATE * 80, other * 50
    size = 300
    field = fitting_field(source, target, 1.0, size)
    back = np.linalg.inv(unit_to_frame(target))
    here = target @ back[:2, :2].T + back[:2, 2]
    for place, template in zip(here, TEMPLATE, strict=True):
        x, y = np.rint((place + PAD) * size / (1 + 2 * PAD)).astype(int)
        assert field[y, x] == pytest.approx(template - place, abs=0.008)
    half = fitting_field(source, target, 0.5, size)
    assert half == pytest.approx(field / 2, abs=1e-6)
    assert fitting_field(source, source, 1.0, size) == pytest.approx(0 * field, abs=1e-6)


@pytest.mark.parametrize("trace", [{"tremor": 0.02}, {"pattern": 9.0}, {"aliased": True}])
def test_traces_of_networks_and_renderers_are_off_until_asked_for(trace: dict[str, float]) -> None:
    frames, faces = _clip(1, 1)
    recipe = replace(draw_recipe(np.random.default_rng(4), "expression"), flicker=0.0)
    assert (recipe.fit, recipe.tremor, recipe.pattern, recipe.aliased) == (0, 0, 0, False)

    def painted(recipe: Recipe) -> NDArray[np.float64]:
        forger = Forger(np.random.default_rng(0), recipe)
        images = [forger.paint(frames[0], faces[0], (frames[0], faces[0]))[0] for _ in range(3)]
        return np.stack(images).astype(np.float64)

    change = painted(replace(recipe, **trace)) - painted(recipe)  # type: ignore[arg-type]
    assert np.abs(change).mean() > 0.05
    if "pattern" in trace:
        # As much lighter as darker, and in the face.
        assert abs(change.mean()) < np.abs(change).mean() / 5
        assert not change[:, :, :20].any()
