"""What is taken of a stream: of several renditions the best one that fits, of a live one its newest
minute."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar

T = TypeVar("T")

LIVE_SECONDS = 60.0
"""The window of a live stream that is taken."""

_PIXELS = 1920 * 1088


def rank(width: int, height: int, rate: int) -> tuple[bool, int, int]:
    """By which renditions are ordered, the best one last: the largest up to 1080p, then what is
    larger, as small as may be; of equals the one of the highest ``rate``, in bits a second."""
    pixels = width * height
    fits = pixels <= _PIXELS
    return fits, pixels if fits else -pixels, rate


class Choice(Generic[T]):
    """The first rendition offered whose announced rate fits ``largest`` bytes; while none does, the
    smallest, as ``best``."""

    def __init__(self, largest: int) -> None:
        self._largest, self._size = largest, float("inf")
        self.best: T | None = None

    def settles(self, offer: T, seconds: float, rate: int) -> bool:
        """Offer one that lasts so long, of so many bits a second; whether no other need be looked
        at."""
        size = seconds * rate / 8
        if size < self._size:
            self.best, self._size = offer, size
        return size <= self._largest


def newest(lengths: Sequence[float], window: float) -> int:
    """The first of the last segments that together are no longer than a window, at least one; both
    in one unit."""
    start = max(0, len(lengths) - 1)
    total = sum(lengths[start:])
    while start and total + lengths[start - 1] <= window:
        start -= 1
        total += lengths[start]
    return start
