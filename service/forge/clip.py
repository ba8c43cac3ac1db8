"""Forging one face through a clip, frame by frame."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from service.faces.detector import Detection
from service.forge.alignment import (
    PAD,
    Floats,
    Matrix,
    deform,
    expression_field,
    fitting_field,
    nudge,
    outline_mask,
    random_field,
    side_in_frame,
    unit_to_frame,
    unit_to_patch,
)
from service.forge.recipe import FAMILIES, Family, Recipe, draw_recipe

Image = NDArray[np.uint8]

MASK_SIZE = 192
"""Pixels across the patch in which a mask is drawn."""

CELLS = 36
"""Squares of a regular pattern across the unit square."""

MOUTH_LAG = 7
"""Frames by which a mouth is late when it comes from the forged clip itself."""


@dataclass(frozen=True, slots=True)
class Donor:
    """Where a pasted face comes from: uint8 (H, W, 3) RGB frames with a face in each. Used in
    turn, from the start again after the last."""

    frames: Sequence[Image]
    faces: Sequence[Detection]


@dataclass(frozen=True, slots=True)
class ForgedClip:
    """``frames`` uint8 (T, H, W, 3) RGB; ``mask`` uint8 (T, H, W), how much of each pixel is
    forged: outside of it (0) the frames are those that came in."""

    frames: Image
    mask: Image
    family: Family


class Forger:
    """Forges one face, one frame after the other, by one recipe.

    What a real tool decides once (resolution, mask, colour error, misplacement) is drawn once;
    what it decides anew in every frame (jitter, flicker) is drawn in every frame.
    """

    def __init__(self, rng: np.random.Generator, recipe: Recipe) -> None:
        self.recipe = recipe
        self._rng = rng
        self._field = random_field(recipe.warp, rng)
        self._moves = rng.normal(0, recipe.motion, (5, 2))
        self._phase, self._pace = rng.uniform(0, 2 * math.pi), rng.uniform(0.1, 0.4)
        self._mask = outline_mask(
            recipe.region, MASK_SIZE, recipe.grow, recipe.ripple, recipe.feather, rng
        )
        self._drift = np.zeros(2)
        self._count = 0

    def paint(
        self, frame: Image, face: Detection, source: tuple[Image, Detection]
    ) -> tuple[Image, Image]:
        """One forged frame.

        ``frame`` uint8 (H, W, 3) RGB whose ``face`` is covered by that of ``source``, a frame of
        any size with its face (for a self-blend the same ones). Returns the forged frame and its
        mask, uint8 (H, W).
        """
        recipe, rng = self.recipe, self._rng
        target = unit_to_frame(face.landmarks)
        native = side_in_frame(target)
        across = min(recipe.resolution, recipe.keep * native)
        size = max(16, round(across * (1 + 2 * PAD)))
        patch = self._synthesise(source, face, size)

        region = _region(target, frame.shape)
        if region is None:
            self._count += 1
            return frame.copy(), np.zeros(frame.shape[:2], dtype=np.uint8)
        x0, y0, x1, y1 = region
        under = frame[y0:y1, x0:x1].astype(np.float32)
        # Jitter wanders a little and jumps a little, as independently made frames do.
        self._drift = 0.6 * self._drift + rng.normal(0, max(recipe.jitter, 1e-9), 2)
        place = nudge(
            (recipe.shift[0] + self._drift[0], recipe.shift[1] + self._drift[1]),
            recipe.angle + 40 * recipe.jitter * rng.normal(),
            recipe.zoom * (1 + 0.5 * recipe.jitter * rng.normal()),
        )
        sampling = cv2.INTER_NEAREST if recipe.aliased else cv2.INTER_LINEAR
        pasted = _into(patch, target @ place, region, sampling)
        alpha = _into(self._mask, target, region) * recipe.opacity
        alpha[alpha < 1 / 255] = 0
        pasted = self._colour(pasted, under, alpha)
        mixed = under + alpha[..., None] * (pasted - under)

        forged, where = frame.copy(), np.zeros(frame.shape[:2], dtype=np.uint8)
        forged[y0:y1, x0:x1] = np.clip(np.rint(mixed), 0, 255).astype(np.uint8)
        where[y0:y1, x0:x1] = np.ceil(alpha * 255).astype(np.uint8)
        self._count += 1
        return forged, where

    def _synthesise(self, source: tuple[Image, Detection], target: Detection, size: int) -> Floats:
        """The aligned source face float32 (size, size, 3), deformed and sharpened."""
        recipe = self.recipe
        rgb, face = source
        patch = _aligned(rgb, unit_to_frame(face.landmarks), size)
        field = self._field
        if recipe.motion or recipe.tremor or recipe.fit:
            field = np.asarray(cv2.resize(field, (size, size), interpolation=cv2.INTER_CUBIC))
        if recipe.motion:
            swing = math.sin(self._phase + self._pace * self._count)
            field = field + expression_field(self._moves * swing, size)
        if recipe.tremor:
            field = field + expression_field(self._rng.normal(0, recipe.tremor, (5, 2)), size)
        if recipe.fit:
            field = field + fitting_field(face.landmarks, target.landmarks, recipe.fit, size)
        patch = deform(patch, field)
        if recipe.sharpen:
            patch = patch + recipe.sharpen * (patch - cv2.GaussianBlur(patch, (0, 0), 1.0))
        if recipe.pattern:
            patch = patch + recipe.pattern * _checkers(size)
        return patch

    def _colour(self, pasted: Floats, under: Floats, alpha: Floats) -> Floats:
        """Colour of the pasted face: transfer, error, flicker, and the membrane if it is one."""
        recipe = self.recipe
        if recipe.transfer:
            mean_p, spread_p = _colour_statistics(pasted, alpha)
            mean_u, spread_u = _colour_statistics(under, alpha)
            ratio = np.clip(spread_u / spread_p, 0.6, 1.6)
            pasted = pasted * ratio + (mean_u - mean_p * ratio)
        flicker = recipe.flicker * self._rng.normal(0, 1) + recipe.flicker * 0.3 * (
            self._rng.normal(0, 1, 3)
        )
        error = np.asarray(recipe.offset, dtype=np.float32) + np.float32(flicker)
        pasted = pasted * np.asarray(recipe.gain, dtype=np.float32) + error
        if recipe.blending == "membrane":
            pasted = pasted + _membrane(under - pasted, alpha)
        return np.asarray(pasted, dtype=np.float32)


def forge(
    frames: Image | Sequence[Image],
    faces: Sequence[Detection],
    rng: np.random.Generator,
    family: Family | None = None,
    donor: Donor | None = None,
) -> ForgedClip:
    """Forge one face through a clip of any length; the same generator state, the same result.

    ``frames`` are T uint8 (H, W, 3) RGB images of one size, ``faces`` the face in each of them
    (box and landmarks in its pixels). ``family`` is drawn where it is None (``swap`` only with a
    donor). ``donor`` is another person for ``swap``; for ``mouth`` another moment of the same
    video, which the clip's own earlier frames stand in for where it is None. Other families
    ignore it. Raises ``ValueError`` for a swap without a donor and for unequal lengths.
    """
    if len(frames) != len(faces) or not len(frames):
        raise ValueError(f"{len(frames)} frames but {len(faces)} faces")
    if family is None:
        choices = [name for name in FAMILIES if donor is not None or name != "swap"]
        family = choices[int(rng.integers(len(choices)))]
    if family == "swap" and donor is None:
        raise ValueError("a swap needs a donor")
    forger = Forger(rng, draw_recipe(rng, family))
    painted = []
    for index, (frame, face) in enumerate(zip(frames, faces, strict=True)):
        source = frame, face
        if donor is not None and family in ("swap", "mouth"):
            place = index % len(donor.frames)
            source = donor.frames[place], donor.faces[place]
        elif family == "mouth":
            place = (index - MOUTH_LAG) % len(frames)
            source = frames[place], faces[place]
        painted.append(forger.paint(frame, face, source))
    return ForgedClip(
        np.stack([image for image, _ in painted]), np.stack([mask for _, mask in painted]), family
    )


def _aligned(rgb: Image, to_frame: Matrix, size: int) -> Floats:
    """The aligned face of a frame as float32 (size, size, 3)."""
    shrink = side_in_frame(to_frame) * (1 + 2 * PAD) / size
    # Averaged before it is sampled: a warp alone would alias what it shrinks.
    if shrink > 1.2:
        region = _region(to_frame, rgb.shape)
        if region is not None:
            x0, y0, x1, y1 = region
            width, height = max(2, round((x1 - x0) / shrink)), max(2, round((y1 - y0) / shrink))
            part = cv2.resize(rgb[y0:y1, x0:x1], (width, height), interpolation=cv2.INTER_AREA)
            sx, sy = width / (x1 - x0), height / (y1 - y0)
            smaller = np.array([[sx, 0, -x0 * sx], [0, sy, -y0 * sy], [0, 0, 1.0]])
            rgb, to_frame = np.asarray(part, dtype=np.uint8), smaller @ to_frame
    matrix = unit_to_patch(size) @ np.linalg.inv(to_frame)
    patch = cv2.warpAffine(
        rgb, matrix[:2], (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(patch, dtype=np.float32)


def _checkers(size: int) -> Floats:
    """What transposed convolutions leave (Odena et al. 2016), float32 (size, size, 1): -1 and 1 in
    squares, ``CELLS`` of them across the unit square, of two pixels at least."""
    cell = max(2, round(size / (1 + 2 * PAD) / CELLS))
    square = np.arange(size) // cell
    return np.asarray(np.add.outer(square, square) % 2 * 2 - 1, dtype=np.float32)[..., None]


def _region(to_frame: Matrix, shape: tuple[int, ...]) -> tuple[int, int, int, int] | None:
    """The part of a frame that a patch can cover (x0, y0, x1, y1), or None if it is outside."""
    corners = np.array([[-PAD, -PAD], [1 + PAD, -PAD], [-PAD, 1 + PAD], [1 + PAD, 1 + PAD]])
    points = corners @ to_frame[:2, :2].T + to_frame[:2, 2]
    x0, y0 = np.maximum(np.floor(points.min(axis=0)), 0).astype(int)
    x1, y1 = np.minimum(np.ceil(points.max(axis=0)) + 1, [shape[1], shape[0]]).astype(int)
    return (int(x0), int(y0), int(x1), int(y1)) if x1 - x0 > 1 and y1 - y0 > 1 else None


def _into(
    patch: Floats,
    to_frame: Matrix,
    region: tuple[int, int, int, int],
    sampling: int = cv2.INTER_LINEAR,
) -> Floats:
    """A patch (S, S[, C]) drawn into a region of the frame; a mask is 0 beyond its patch."""
    x0, y0, x1, y1 = region
    matrix = to_frame @ np.linalg.inv(unit_to_patch(patch.shape[0]))
    matrix[:2, 2] -= (x0, y0)
    border = cv2.BORDER_REPLICATE if patch.ndim == 3 else cv2.BORDER_CONSTANT
    size = (x1 - x0, y1 - y0)
    drawn = cv2.warpAffine(patch, matrix[:2], size, flags=sampling, borderMode=border)
    return np.asarray(drawn, dtype=np.float32)


def _colour_statistics(image: Floats, alpha: Floats) -> tuple[Floats, Floats]:
    """Mean and deviation (3,) of an image's colours under a mask, from every ninth pixel."""
    pixels, weight = image[::3, ::3].reshape(-1, 3), alpha[::3, ::3].reshape(-1)
    weight = weight / (float(weight.sum()) + 1e-6)
    mean = weight @ pixels
    return mean, np.sqrt(weight @ (pixels - mean) ** 2) + np.float32(1.0)


def _membrane(difference: Floats, alpha: Floats) -> Floats:
    """Colour differences float32 (h, w, 3) at the mask's edge, spread smoothly over its inside:
    what Poisson blending adds (Perez et al. 2003), approximated by two blurs."""
    height, width = alpha.shape
    small = (max(4, width // 4), max(4, height // 4))
    weight = cv2.resize(
        np.asarray(1 - alpha, dtype=np.float32), small, interpolation=cv2.INTER_AREA
    )
    values = cv2.resize(difference, small, interpolation=cv2.INTER_AREA) * weight[..., None]
    deviation = 0.12 * max(small)
    spread = cv2.GaussianBlur(values, (0, 0), deviation)
    share = cv2.GaussianBlur(weight, (0, 0), deviation)[..., None] + 1e-3
    return np.asarray(cv2.resize(spread / share, (width, height)), dtype=np.float32)
