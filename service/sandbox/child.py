"""What a child does: one video, pulled from the parent piece by piece, into crops and numbers."""

from __future__ import annotations

import math
import signal
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from service.clips import Clip
from service.errors import ServiceError
from service.extraction import Extracted, Position, extract
from service.faces.detector import FaceDetector
from service.sandbox.job import ORDER
from service.sandbox.messages import BLOCK, MOST_BOX_BYTES, Cut, Done, Reached, Read, Refused
from service.sandbox.wire import PlainChannel
from service.video.deadline import Deadline

_BLOCKS = 4

_OPENING_SECONDS = 2.0
"""Of processor time for opening the container, both times together. Tens of millions of announced
samples take more; hours of real video a tenth."""


class Pulled:
    """Media that lie with the parent; a few blocks of them are kept."""

    def __init__(self, channel: PlainChannel, size: int) -> None:
        self.size = size
        self._channel = channel
        self._blocks: OrderedDict[int, bytes] = OrderedDict()

    def read(self, offset: int, size: int) -> bytes:
        """See ``Readable``."""
        parts = []
        end = min(offset + size, self.size)
        while offset < end:
            number, at = divmod(offset, BLOCK)
            part = self._block(number)[at : at + end - offset]
            if not part:
                break
            parts.append(part)
            offset += len(part)
        return b"".join(parts)

    def _block(self, number: int) -> bytes:
        if number not in self._blocks:
            offset = number * BLOCK
            wanted = Read(offset=offset, size=min(BLOCK, self.size - offset))
            self._channel.send(wanted.model_dump_json())
            self._blocks[number] = self._channel.receive()[1]
            if len(self._blocks) > _BLOCKS:
                self._blocks.popitem(last=False)
        self._blocks.move_to_end(number)
        return self._blocks[number]


class _Opening(Deadline):
    """Time is kept by the parent, which knows when this process had to wait. Only opening, where
    few bytes can cost most, has a bound of its own: past it SIGPROF ends the process."""

    def __init__(self) -> None:
        super().__init__(math.inf)
        self._opening_left = _OPENING_SECONDS

    @contextmanager
    def opening(self) -> Iterator[None]:
        signal.setitimer(signal.ITIMER_PROF, self._opening_left)
        try:
            yield
        finally:
            self._opening_left, _ = signal.setitimer(signal.ITIMER_PROF, 0)


def serve(channel: PlainChannel, detector: FaceDetector) -> int:
    """Do the one job that the parent gives; the exit code."""
    order = ORDER.validate_json(channel.receive()[0])
    job = order.job
    try:
        for item in extract(
            Pulled(channel, order.size),
            job.specs,
            job.sampling,
            start=job.start,
            end=job.end,
            boxes=job.boxes,
            detector=detector,
            tracking=job.tracking,
            limits=job.limits,
            deadline=_Opening(),
        ):
            _send(channel, item)
    except ServiceError as error:
        _refuse(channel, error.code, error.detail)
    except Exception as error:
        if not _memory_failed(error):
            raise
        _refuse(channel, "over_limits", "reading the video takes more memory than is allowed")
    return 0


def _send(channel: PlainChannel, item: Position | Clip | Extracted) -> None:
    if isinstance(item, Position):
        reached = Reached(time=item.time, duration=item.duration, frames=item.frames)
        channel.send(reached.model_dump_json())
    elif isinstance(item, Clip):
        head = Cut(
            track=item.track,
            spec=item.spec,
            first_frame=item.first_frame,
            last_frame=item.last_frame,
            start=item.start,
            end=item.end,
        )
        channel.send(head.model_dump_json(), np.asarray(item.boxes, np.float64), item.pixels)
    else:
        body = _tracks(item)
        if sum(part.nbytes for part in body) > MOST_BOX_BYTES:
            _refuse(channel, "over_limits", "the video shows too many faces to report every box")
        else:
            channel.send(_done(item).model_dump_json(), *body)


def _done(item: Extracted) -> Done:
    return Done(
        container=item.container,
        codec=item.codec,
        width=item.width,
        height=item.height,
        fps=item.fps,
        duration=item.duration,
        since=item.range[0],
        until=item.range[1],
        seconds_missing=item.seconds_missing,
        sampling=item.sampling,
        frames_in_video=item.frames_in_video,
        frames_decoded=item.frames_decoded,
        frames_damaged=item.frames_damaged,
        frames_with_face=item.frames_with_face,
        faces_dropped=item.faces_dropped,
        clips_dropped=item.clips_dropped,
        tracks_seen=item.tracks_seen,
        tracks=len(item.tracks),
    )


def _tracks(item: Extracted) -> list[NDArray[Any]]:
    tracks = item.tracks.values()
    table = [(number, len(track.frames)) for number, track in item.tracks.items()]
    return [
        np.asarray(table, np.int32).reshape(-1, 2),
        *(track.frames for track in tracks),
        *(track.times for track in tracks),
        *(track.boxes for track in tracks),
    ]


def _refuse(channel: PlainChannel, code: Any, detail: str) -> None:
    channel.send(Refused(code=code, detail=detail).model_dump_json())


def _memory_failed(error: Exception) -> bool:
    """Whether a library was refused memory. ONNX Runtime has no error of its own for it."""
    if isinstance(error, cv2.error):
        return error.code == cv2.Error.StsNoMem
    return isinstance(error, MemoryError) or "alloc" in str(error)
