"""Square crops of faces. Training and service crop with the same function."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from service.faces.detector import Box


def union_box(boxes: Iterable[Box]) -> Box:
    """The smallest box around all ``boxes``: the common square of a clip whose crops are aligned
    by ``clip``, so that motion inside it is the face's and not the detector's."""
    corners = np.asarray(list(boxes), dtype=np.float64)
    if not len(corners):
        raise ValueError("no box")
    x0, y0 = corners[:, :2].min(axis=0)
    x1, y1 = corners[:, 2:].max(axis=0)
    return float(x0), float(y0), float(x1), float(y1)


def square(box: Box, margin: float) -> Box:
    """The square around a face that is cropped: centred on ``box``, its side ``margin`` times the
    box's longer side, in fractional pixels."""
    x0, y0, x1, y1 = box
    half = margin * max(x1 - x0, y1 - y0) / 2
    x, y = (x0 + x1) / 2, (y0 + y1) / 2
    return x - half, y - half, x + half, y + half


class Sliced(Protocol):
    """A uint8 (H, W, 3) RGB frame: an array, or a ``Picture`` that converts what is cropped."""

    @property
    def shape(self) -> tuple[int, ...]:
        """H, W, 3."""
        ...

    def __getitem__(self, part: tuple[slice, slice]) -> NDArray[np.uint8]:
        """These rows and columns."""
        ...


def crop(rgb: Sliced, box: Box, margin: float, size: tuple[int, int]) -> NDArray[np.uint8]:
    """The face in ``box`` as uint8 (H, W, 3), ``size`` = (H, W), from a uint8 RGB frame.

    Takes :func:`square`, rounded to whole pixels, and resizes it: area averaging when shrinking,
    linear when enlarging. Beyond the frame its edge pixels are repeated. Raises ``ValueError`` for
    a box that is empty, not finite or wholly outside the frame.
    """
    height, width = rgb.shape[:2]
    if not np.all(np.isfinite(box)) or box[2] <= box[0] or box[3] <= box[1] or margin <= 0:
        raise ValueError("the box is empty")
    if box[0] >= width or box[1] >= height or box[2] <= 0 or box[3] <= 0:
        raise ValueError("the box is outside the frame")
    x0, y0, x1, _ = square(box, margin)
    side = max(1, round(x1 - x0))
    left, top = round(x0), round(y0)
    if side > 1.5 * max(height, width):
        return _mostly_padding(rgb, (top, left), side, size)
    inside = rgb[max(0, top) : top + side, max(0, left) : left + side]
    missing = (
        max(0, -top),
        max(0, top + side - height),
        max(0, -left),
        max(0, left + side - width),
    )
    if any(missing):
        inside = np.asarray(
            cv2.copyMakeBorder(inside, *missing, cv2.BORDER_REPLICATE), dtype=np.uint8
        )
    shrinks = side > min(size)
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    resized = cv2.resize(inside, size[::-1], interpolation=interpolation)
    return np.asarray(resized, dtype=np.uint8)


def _mostly_padding(
    rgb: Sliced, corner: tuple[int, int], side: int, size: tuple[int, int]
) -> NDArray[np.uint8]:
    """Resizes first and pads then, so that no square of that side is ever held; ``corner`` is
    (top, left). The frame lands on whole pixels of the crop, half a pixel off at most."""
    first, last = (
        [
            min(max(round((place - start) * length / side), low), length - 1 + low)
            for place, start, length in zip(places, corner, size, strict=True)
        ]
        for places, low in (((0, 0), 0), (rgb.shape[:2], 1))
    )
    last = [max(begin + 1, end) for begin, end in zip(first, last, strict=True)]
    frame = cv2.resize(
        rgb[:, :], (last[1] - first[1], last[0] - first[0]), interpolation=cv2.INTER_AREA
    )
    beyond = (first[0], size[0] - last[0], first[1], size[1] - last[1])
    return np.asarray(cv2.copyMakeBorder(frame, *beyond, cv2.BORDER_REPLICATE), dtype=np.uint8)
