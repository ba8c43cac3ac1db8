"""What a child sends is taken for what it claims to be only if it can be that."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from service.clips import Clip
from service.extraction import Extracted, Position, TrackBoxes
from service.sandbox.job import Job
from service.sandbox.messages import (
    BLOCK,
    MOST_BOX_BYTES,
    Broken,
    Cut,
    Done,
    FromChild,
    Reached,
    Read,
)

_BOX = 4 * 8
"""Bytes of a clip's box."""
_TRACK = 2 * 4
_PLACE = 4 + 8 + 4 * 4
"""Bytes of one frame of a track."""


_READS = 20_000
_PASSES = 100
"""A child may ask for media so often, and this often for each block of it: containers are read
twice, and back and forth."""


class Inspector:
    """Holds one child to its job. Every method raises ``Broken``."""

    def __init__(self, job: Job) -> None:
        self._job = job
        longest = max(spec.length for spec in job.specs)
        self._clips_left = [job.limits.clips * (longest // spec.length) for spec in job.specs]
        self._positions_left = job.limits.video.frames
        self._tracks: set[int] = set()
        self._reads_left = _READS

    def size(self, head: FromChild, claimed: int) -> int:
        """Bytes of the body that a message has; ``claimed`` is what it says."""
        size = 0
        if isinstance(head, Cut):
            _demand(head.spec < len(self._job.specs))
            spec = self._job.specs[head.spec]
            size = spec.length * (_BOX + spec.height * spec.width * 3)
        elif isinstance(head, Done):
            size = claimed
            _demand(head.tracks == len(self._tracks) <= head.tracks_seen)
            _demand(head.tracks * _TRACK <= size <= MOST_BOX_BYTES)
        _demand(size == claimed)
        return size

    def read(self, head: Read, size: int) -> None:
        """A request for media of ``size`` bytes."""
        self._reads_left -= 1
        _demand(self._reads_left + _PASSES * (size // BLOCK) >= 0)

    def position(self, head: Reached) -> Position:
        """How far it says it is."""
        self._positions_left -= 1
        _demand(self._positions_left >= 0)
        return Position(head.time, head.duration, head.frames)

    def clip(self, head: Cut, body: bytearray) -> Clip:
        """A clip; its pixels are the body's."""
        spec = self._job.specs[head.spec]
        self._clips_left[head.spec] -= 1
        _demand(self._clips_left[head.spec] >= 0)
        _demand(head.last_frame - head.first_frame + 1 == spec.length)
        _demand(head.start <= head.end)
        boxes = np.frombuffer(body, np.float64, spec.length * 4).reshape(-1, 4)
        _demand(bool(np.isfinite(boxes).all()))
        self._tracks.add(head.track)
        return Clip(
            track=head.track,
            first_frame=head.first_frame,
            last_frame=head.last_frame,
            start=head.start,
            end=head.end,
            boxes=tuple((x0, y0, x1, y1) for x0, y0, x1, y1 in boxes.tolist()),
            pixels=np.frombuffer(body, np.uint8, offset=boxes.nbytes).reshape(
                spec.length, spec.height, spec.width, 3
            ),
            spec=head.spec,
        )

    def extracted(self, head: Done, body: bytearray) -> Extracted:
        """The end; it names the tracks that had clips and no others."""
        tracks = _tracks(head.tracks, body)
        _demand(self._tracks == tracks.keys())
        _demand(self._job.boxes or not any(len(each.frames) for each in tracks.values()))
        _demand(head.since <= head.until)
        return Extracted(
            container=head.container,
            codec=head.codec,
            width=head.width,
            height=head.height,
            fps=head.fps,
            duration=head.duration,
            range=(head.since, head.until),
            seconds_missing=head.seconds_missing,
            sampling=head.sampling,
            frames_in_video=head.frames_in_video,
            frames_decoded=head.frames_decoded,
            frames_damaged=head.frames_damaged,
            frames_with_face=head.frames_with_face,
            faces_dropped=head.faces_dropped,
            clips_dropped=head.clips_dropped,
            tracks_seen=head.tracks_seen,
            tracks=tracks,
        )


def _tracks(count: int, body: bytearray) -> dict[int, TrackBoxes]:
    table: NDArray[np.int32] = np.frombuffer(body, np.int32, count * 2).reshape(-1, 2)
    _demand(bool((table >= 0).all()))
    total = int(table[:, 1].sum(dtype=np.int64))
    _demand(len(body) == count * _TRACK + total * _PLACE)
    at = table.nbytes
    frames = np.frombuffer(body, np.int32, total, at)
    # Bodies are not aligned to eight bytes; what the parent keeps is.
    times = np.frombuffer(body, np.float64, total, at + frames.nbytes).copy()
    boxes = np.frombuffer(body, np.float32, total * 4, at + frames.nbytes + times.nbytes)
    _demand(bool((frames >= 0).all() and np.isfinite(times).all() and np.isfinite(boxes).all()))
    tracks: dict[int, TrackBoxes] = {}
    start = 0
    for number, length in table.tolist():
        _demand(number not in tracks)
        of = slice(start, start + length)
        tracks[number] = TrackBoxes(frames[of], times[of], boxes.reshape(-1, 4)[of])
        start += length
    return tracks


def _demand(holds: bool) -> None:
    if not holds:
        raise Broken("a message that contradicts the job or itself")
