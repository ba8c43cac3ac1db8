"""A decoded frame as the rest of the service sees it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]


class Picture(Protocol):
    """An upright picture that gives its pixels where they are wanted and no others; see
    ``service.video.decoded`` for why."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Height, width, 3."""
        ...

    def __getitem__(self, part: tuple[slice, slice]) -> Pixels:
        """These rows and columns as uint8 (h, w, 3) RGB, clipped as an array's are."""
        ...

    def coarse(self, longest: int) -> Pixels:
        """All of it as uint8 (h, w, 3) RGB for who needs no longer side than ``longest`` pixels:
        shrunk to that by area averaging where this saves time, else as it is."""
        ...

    def grey(self, step: int) -> Pixels:
        """Every ``step``-th pixel of every ``step``-th row as uint8 (h, w) grey level."""
        ...


class Still:
    """A picture that is held as uint8 (H, W, 3) RGB."""

    def __init__(self, rgb: Pixels) -> None:
        self._rgb = rgb
        self.shape: tuple[int, ...] = rgb.shape

    def __getitem__(self, part: tuple[slice, slice]) -> Pixels:
        """See ``Picture``."""
        return self._rgb[part]

    def coarse(self, longest: int) -> Pixels:
        """See ``Picture``."""
        return self._rgb

    def grey(self, step: int) -> Pixels:
        """See ``Picture``."""
        some = np.ascontiguousarray(self._rgb[::step, ::step])
        return np.asarray(cv2.cvtColor(some, cv2.COLOR_RGB2GRAY), dtype=np.uint8)


@dataclass(frozen=True, slots=True)
class Frame:
    """One upright frame: ``index`` counts all frames of the video in order of presentation
    from 0, ``time`` is in seconds from the first frame."""

    index: int
    time: float
    picture: Picture

    @property
    def rgb(self) -> Pixels:
        """All of the picture as uint8 (H, W, 3) RGB; converted anew whenever it is asked for."""
        return self.picture[:, :]
