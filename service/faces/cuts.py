"""Cuts between two frames, seen from small grey thumbnails."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from service.video.frames import Picture

Thumbnail = NDArray[np.float32]

_SIZE = (32, 32)


def thumbnail(picture: Picture) -> Thumbnail:
    """A picture as float32 (32, 32) grey levels 0 to 255."""
    # Every n-th pixel first: averaging a whole 4K frame costs more than it tells.
    grey = picture.grey(max(1, min(picture.shape[:2]) // 256))
    return np.asarray(cv2.resize(grey, _SIZE, interpolation=cv2.INTER_AREA), dtype=np.float32)


def scene_change(before: Thumbnail, after: Thumbnail) -> float:
    """Mean difference in grey levels, a change of brightness (a flash, a fade) taken out:
    large at a cut."""
    return float(np.mean(np.abs(_level(after) - _level(before))))


def _level(thumb: Thumbnail) -> Thumbnail:
    return thumb - np.median(thumb)
