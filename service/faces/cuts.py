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


def is_cut(before: Thumbnail, after: Thumbnail, threshold: float) -> bool:
    """Whether ``after`` shows another scene: the mean grey difference exceeds ``threshold``
    once a common change of brightness (a flash, a fade) is taken out."""
    change = after - before
    change -= np.median(change)
    return bool(np.mean(np.abs(change)) > threshold)
