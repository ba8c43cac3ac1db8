"""Cuts between two frames, seen from small grey thumbnails."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Thumbnail = NDArray[np.float32]

_SIZE = (32, 32)


def thumbnail(rgb: NDArray[np.uint8]) -> Thumbnail:
    """A uint8 (H, W, 3) RGB frame as float32 (32, 32) grey levels 0 to 255."""
    # Every n-th pixel first: averaging a whole 4K frame costs more than it tells.
    step = max(1, min(rgb.shape[:2]) // 256)
    small = cv2.resize(
        np.ascontiguousarray(rgb[::step, ::step]), _SIZE, interpolation=cv2.INTER_AREA
    )
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), dtype=np.float32)


def scene_change(before: Thumbnail, after: Thumbnail) -> float:
    """Mean difference in grey levels, a change of brightness (a flash, a fade) taken out:
    large at a cut."""
    return float(np.mean(np.abs(_level(after) - _level(before))))


def _level(thumb: Thumbnail) -> Thumbnail:
    return thumb - np.median(thumb)
