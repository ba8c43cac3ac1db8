"""Differences of consecutive frames: what a model for clips can see and one for images cannot.

Source: Figure 2 of Tariq, Lee, Woo (2020): forged frames flicker where real ones move smoothly.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from model_export.errors import EvaluationError
from model_export.explain.choice import ChosenClip
from model_export.explain.picture import Picture, Row

Image = NDArray[np.uint8]

FACTOR = 8


def difference_maps(pixels: Image, factor: float = FACTOR) -> Image:
    """|frame[t + 1] - frame[t]| times ``factor``, cut off at 255, in each colour: uint8
    (T - 1, H, W, 3) of a clip uint8 (T, H, W, 3)."""
    steps = np.abs(np.diff(pixels.astype(np.int16), axis=0))
    return np.minimum(steps * factor, 255).astype(np.uint8)


def differences(clips: Sequence[ChosenClip], factor: float = FACTOR) -> Picture:
    """Two rows a clip: its frames, and under each the difference from the one before; below a
    forged clip its real twin in the same way, where it has one.

    Raises ``EvaluationError`` for clips of a single frame.
    """
    length = len(clips[0].pixels)
    if length < 2:
        raise EvaluationError("clips of one frame have no differences between frames")
    rows: list[Row] = []
    for clip in clips:
        rows += _rows(clip.caption, clip.pixels, factor)
        if clip.twin is not None:
            rows += _rows(f"{clip.video.twin or 'twin'}\nreal, the same frames", clip.twin, factor)
    columns = tuple(f"frame {number + 1}" for number in range(length))
    return Picture(f"Differences of consecutive frames, times {factor:g}", columns, tuple(rows))


def _rows(caption: str, pixels: Image, factor: float) -> Iterator[Row]:
    yield Row(caption, tuple(pixels))
    yield Row("difference from the frame before", (None, *difference_maps(pixels, factor)))
