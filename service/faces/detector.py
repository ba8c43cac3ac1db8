"""What every face detector gives, whichever it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

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


class FaceDetector(Protocol):
    """Finds faces in one frame. Safe to call from several threads."""

    @property
    def name(self) -> str:
        """Short name for reports, such as ``mtcnn``."""
        ...

    def detect(self, rgb: NDArray[np.uint8]) -> list[Detection]:
        """Faces of one uint8 (H, W, 3) RGB frame, best score first."""
        ...
