"""What every face detector gives, whichever it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from service.video.frames import Picture

Box = tuple[float, float, float, float]
"""x0, y0, x1, y1 in pixels of the upright source frame; may reach beyond its edges."""


@dataclass(frozen=True, slots=True)
class Detection:
    """One face in one frame.

    ``box`` follows one convention for all detectors (MTCNN's, the papers' detector): an adapter
    whose network draws its boxes differently maps them, so that crops do not depend on the
    detector. ``landmarks`` is float32 (5, 2), x and y in pixels: the eye, the eye, the nose, the
    mouth corner, the mouth corner, the image's left one first.
    """

    box: Box
    score: float
    landmarks: NDArray[np.float32]

    def scaled(self, across: float, down: float) -> Detection:
        """The same face in a picture that is wider and higher by these factors."""
        x0, y0, x1, y1 = self.box
        box = (x0 * across, y0 * down, x1 * across, y1 * down)
        return Detection(box, self.score, self.landmarks * np.asarray([across, down], np.float32))


class FaceDetector(Protocol):
    """Finds faces in one frame. Safe to call from several threads."""

    @property
    def name(self) -> str:
        """Short name for reports, such as ``mtcnn``."""
        ...

    def detect(self, rgb: NDArray[np.uint8]) -> list[Detection]:
        """Faces of one uint8 (H, W, 3) RGB frame, best score first."""
        ...


def detect_in(picture: Picture, detector: FaceDetector) -> list[Detection]:
    """Faces of a picture, boxes in its pixels. Where the detector says that it needs no longer side
    than ``longest_side``, it may get the picture shrunk to that."""
    longest = getattr(detector, "longest_side", None)
    rgb = picture[:, :] if longest is None else picture.coarse(longest)
    if rgb.shape == picture.shape:
        return detector.detect(rgb)
    down, across = (picture.shape[axis] / rgb.shape[axis] for axis in (0, 1))
    return [face.scaled(across, down) for face in detector.detect(rgb)]
