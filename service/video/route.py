"""Where to go on reading when the frames in between are not wanted."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class Key:
    """A frame that needs no other: its place among all packets of the stream, counted from 0, and
    its stamps in the stream's time base."""

    ordinal: int
    pts: int
    dts: int


class Astray(Exception):
    """A jump ended where the wanted frame cannot be had; reading on from the start gives it."""


class Route:
    """Follows a decoder through one stream towards the ``wanted`` frames.

    ``wanted`` are indices in order of presentation, ascending; ``pts`` the stamps of all frames in
    that order. Without ``keys`` there are no jumps.
    """

    def __init__(self, wanted: Sequence[int], pts: Sequence[int], keys: Sequence[Key]) -> None:
        self._wanted, self._pts = wanted, pts
        ordered = all(
            one.ordinal < other.ordinal and one.pts < other.pts for one, other in pairwise(keys)
        )
        self._keys = keys if ordered else ()
        self._ordinals = {key.dts: key.ordinal for key in self._keys}
        self._shown = -1
        self._fed = -1
        self._target: Key | None = None
        self._landed = False

    def jump(self) -> Key | None:
        """The key frame to seek to before the next packet is taken, None to read on."""
        place = bisect_right(self._wanted, self._shown)
        if self._target is not None or not self._keys or place == len(self._wanted):
            return None
        at = bisect_right(self._keys, self._pts[self._wanted[place]], key=lambda key: key.pts)
        if not at or self._keys[at - 1].ordinal <= self._fed + 1:
            return None
        self._target = self._keys[at - 1]
        return self._target

    def took(self, dts: int | None) -> None:
        """The next packet is with the decoder. Raises ``Astray``."""
        if self._target is not None:
            ordinal = None if dts is None else self._ordinals.get(dts)
            if ordinal is None or not self._fed < ordinal <= self._target.ordinal:
                raise Astray
            self._fed = ordinal - 1
            self._target, self._landed = None, True
        self._fed += 1

    def showed(self, index: int) -> None:
        """A frame came out of the decoder. Raises ``Astray``."""
        if self._landed:
            self._landed = False
            place = bisect_right(self._wanted, self._shown)
            if place < len(self._wanted) and index > self._wanted[place]:
                raise Astray
        self._shown = max(self._shown, index)
