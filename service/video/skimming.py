"""Reading a video's index without its pictures.

In an MP4 or QuickTime file without fragments everything that says when a frame is shown lies in
the box ``moov``; the boxes ``mdat`` hold nothing but the coded frames (ISO/IEC 14496-12, 8.1.1).
So while packets are only counted, what would come from there is answered with zeros, and of a file
behind a URL it need not be fetched.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from service.video.readable import Readable

CODECS = frozenset({"av1", "h264", "hevc", "mpeg4", "vp9"})
"""Of whose packets the demuxer passes on the times as they stand in the tables, whatever the
packets hold."""

_BOXES = 64
"""On the top level of a file; more are those of fragments."""
_HEAD = struct.Struct(">I4s")
_LARGE = struct.Struct(">Q")
_FRAGMENTS = frozenset({b"moof", b"sidx", b"styp", b"mfra"})
_FIRST = frozenset({b"ftyp", b"wide", b"moov", b"mdat", b"free", b"skip"})


class Skimmed:
    """Media whose coded frames read as zeros once ``on`` is set."""

    def __init__(self, media: Readable, frames: Sequence[range]) -> None:
        self._media, self._frames = media, frames
        self.size = media.size
        self.on = False

    @property
    def skims(self) -> bool:
        """Whether it makes a difference that ``on`` is set."""
        return self.on and bool(self._frames)

    def read(self, offset: int, size: int) -> bytes:
        """See ``Readable``."""
        if self.on:
            end = min(offset + size, self.size)
            if any(each.start <= offset and end <= each.stop for each in self._frames):
                return bytes(max(0, end - offset))
        return self._media.read(offset, size)


def coded_frames(media: Readable) -> list[range]:
    """Where the coded frames lie, in bytes; empty where that cannot be told of this file."""
    found: list[range] = []
    at = 0
    for number in range(_BOXES):
        if at == media.size:
            return found
        head = media.read(at, _HEAD.size + _LARGE.size)
        if len(head) < _HEAD.size:
            return []
        size, kind = _HEAD.unpack_from(head)
        start = at + _HEAD.size
        if size == 1 and len(head) == _HEAD.size + _LARGE.size:
            (size,) = _LARGE.unpack_from(head, _HEAD.size)
            start += _LARGE.size
        end = at + size if size else media.size
        if kind in _FRAGMENTS or (number == 0 and kind not in _FIRST) or end < start:
            return []
        if kind == b"mdat":
            found.append(range(start, min(end, media.size)))
        if end > media.size:
            return found
        at = end
    return []
