"""Faces in a common square: similarity transforms, outlines and smooth deformations.

The aligned square is that of the ArcFace template (Deng et al. 2019): eyes, nose and mouth
corners stand at fixed places of the unit square. A patch shows that square with ``PAD`` around it.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from service.forge.recipe import Region

Floats = NDArray[np.float32]
Matrix = NDArray[np.float64]

PAD = 0.25
"""What a patch shows around the unit square, as a share of its side."""

TEMPLATE: Matrix = (
    np.array([[38.29, 51.70], [73.53, 51.50], [56.03, 71.74], [41.55, 92.37], [70.73, 92.20]]) / 112
)
"""Eye, eye, nose, mouth corner, mouth corner in the unit square, the image's left one first."""

_FACE = (
    np.array(
        [
            [16, 46], [19, 78], [31, 103], [56, 118], [81, 103],
            [93, 78], [96, 46], [80, 35], [56, 31], [32, 35],
        ]
    )
    / 112
)  # fmt: skip
_LOWER = (
    np.array([[18, 70], [22, 92], [34, 107], [56, 118], [78, 107], [90, 92], [94, 70], [56, 62]])
    / 112
)
_TURN = np.linspace(0, 2 * np.pi, 12, endpoint=False)
_MOUTH = np.stack([0.5 + 0.22 * np.cos(_TURN), 0.83 + 0.15 * np.sin(_TURN)], axis=1)
_OUTLINES: dict[Region, Matrix] = {"face": _FACE, "lower_face": _LOWER, "mouth": _MOUTH}


def square(matrix: Matrix) -> Matrix:
    """The (3, 3) form of a (2, 3) affine matrix."""
    return np.vstack([matrix, [0.0, 0.0, 1.0]])


def unit_to_frame(landmarks: NDArray[np.floating]) -> Matrix:
    """Similarity (3, 3) that best carries ``TEMPLATE`` onto ``landmarks`` (5, 2), in pixels."""
    points = np.asarray(landmarks, dtype=np.float64)
    a, b = TEMPLATE - TEMPLATE.mean(axis=0), points - points.mean(axis=0)
    # Least squares over complex numbers: one factor is rotation and scale together.
    za, zb = a[:, 0] + 1j * a[:, 1], b[:, 0] + 1j * b[:, 1]
    factor = np.vdot(za, zb) / np.vdot(za, za).real
    turn = np.array([[factor.real, -factor.imag], [factor.imag, factor.real]])
    move = points.mean(axis=0) - turn @ TEMPLATE.mean(axis=0)
    return square(np.column_stack([turn, move]))


def side_in_frame(to_frame: Matrix) -> float:
    """Pixels in the frame across the unit square."""
    return float(np.hypot(to_frame[0, 0], to_frame[1, 0]))


def unit_to_patch(size: int) -> Matrix:
    """(3, 3) from the unit square to the pixels of a ``size`` x ``size`` patch."""
    scale = size / (1 + 2 * PAD)
    return np.array([[scale, 0, scale * PAD], [0, scale, scale * PAD], [0, 0, 1.0]])


def nudge(shift: tuple[float, float], angle: float, zoom: float) -> Matrix:
    """(3, 3) of the unit square onto itself: rotation (degrees) and zoom about its middle, then
    a shift."""
    turn = cv2.getRotationMatrix2D((0.5, 0.5), angle, zoom)
    turn[:, 2] += np.asarray(shift)
    return square(np.asarray(turn, dtype=np.float64))


def outline_mask(
    region: Region, size: int, grow: float, ripple: float, feather: float, rng: np.random.Generator
) -> Floats:
    """Soft mask float32 (size, size) in 0..1 of a region of the aligned face.

    Its outline is scaled by ``grow``, each corner displaced by ``ripple``; 0 at the patch's edge.
    """
    outline = _OUTLINES[region]
    middle = outline.mean(axis=0)
    outline = middle + (outline - middle) * grow + rng.normal(0, ripple, outline.shape)
    corners = (outline + PAD) * size / (1 + 2 * PAD)
    mask = np.zeros((size, size), dtype=np.uint8)
    cv2.fillPoly(mask, [cv2.convexHull(corners.astype(np.float32)).astype(np.int32)], 255)
    deviation = max(feather * size / (1 + 2 * PAD), 0.5)
    soft = cv2.GaussianBlur(mask.astype(np.float32) / 255, (0, 0), deviation)
    # Gaussian tails reach far: what is under a step of eight bits is cut off.
    soft = np.clip((soft - 0.01) / 0.98, 0, 1)
    soft[[0, -1], :] = 0
    soft[:, [0, -1]] = 0
    return np.asarray(soft, dtype=np.float32)


def random_field(amount: float, rng: np.random.Generator) -> Floats:
    """Smooth random displacements float32 (5, 5, 2) of a patch, in shares of the unit square;
    none at the patch's edge."""
    field = np.zeros((5, 5, 2), dtype=np.float32)
    field[1:-1, 1:-1] = rng.normal(0, amount, (3, 3, 2)) * 2
    return field


def expression_field(moves: NDArray[np.floating], size: int) -> Floats:
    """Displacements float32 (size, size, 2), in shares of the unit square, that move five places
    of the face by ``moves`` (5, 2): brows above the eyes, the chin, the mouth corners."""
    places = TEMPLATE.copy()
    places[:2, 1] -= 0.12
    places[2] = (0.5, 0.98)
    return _bumps(places, moves, size)


def fitting_field(
    source: NDArray[np.floating], target: NDArray[np.floating], share: float, size: int
) -> Floats:
    """Displacements float32 (size, size, 2) that bring the landmarks of an aligned ``source`` face
    to where the aligned ``target`` face has them, by ``share``; both (5, 2) in frame pixels."""
    there, here = (_aligned_landmarks(points) for points in (source, target))
    return _bumps(here, (there - here) * share, size)


def _aligned_landmarks(landmarks: NDArray[np.floating]) -> Matrix:
    back = np.linalg.inv(unit_to_frame(landmarks))
    points = np.asarray(landmarks, dtype=np.float64)
    return np.asarray(points @ back[:2, :2].T + back[:2, 2])


def _bumps(places: Matrix, moves: NDArray[np.floating], size: int) -> Floats:
    """Each of ``places`` moved, its surroundings along with it."""
    line = np.arange(size, dtype=np.float32) / size * (1 + 2 * PAD) - PAD
    # A round Gaussian is the product of one along each axis.
    gaussians = np.exp(-((line - places[..., None]) ** 2) / (2 * 0.11**2)).astype(np.float32)
    across, down = gaussians[:, 0], gaussians[:, 1]
    amounts = np.asarray(moves, dtype=np.float32)[..., None]
    return np.stack([down.T @ (across * amounts[:, axis]) for axis in (0, 1)], axis=-1)


def deform(patch: Floats, field: Floats) -> Floats:
    """``patch`` (S, S, C) sampled at each place plus ``field``, given at any resolution."""
    size = patch.shape[0]
    if field.shape[0] != size:
        field = np.asarray(cv2.resize(field, (size, size), interpolation=cv2.INTER_CUBIC))
    grid = np.arange(size, dtype=np.float32)
    scale = size / (1 + 2 * PAD)
    return np.asarray(
        cv2.remap(
            patch,
            grid[None, :] + field[..., 0] * scale,
            grid[:, None] + field[..., 1] * scale,
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        ),
        dtype=np.float32,
    )
