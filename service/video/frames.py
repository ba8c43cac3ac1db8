"""A decoded frame as the rest of the service sees it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Frame:
    """One upright frame: ``index`` counts all frames of the video in order of presentation
    from 0, ``time`` is in seconds from the first frame, ``rgb`` is uint8 (H, W, 3)."""

    index: int
    time: float
    rgb: NDArray[np.uint8]
