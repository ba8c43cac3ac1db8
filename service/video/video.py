"""A video in memory: what is in it, when its frames are shown, and the frames asked for."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from service.errors import OverLimits, Undecodable
from service.video.container import open_container, video_stream
from service.video.deadline import Deadline
from service.video.frames import Frame

_DECODE_TIMES_ONLY = frozenset({"avi", "asf"})
"""Containers whose packets say when to decode, not when to show: with B-frames FFmpeg gives the
former as the latter, which is the wrong frame by one or two."""


@dataclass(frozen=True, slots=True)
class VideoLimits:
    """What is refused: seconds, frames, pixels of a frame, streams of a container."""

    duration: float = 7200.0
    frames: int = 500_000
    pixels: int = 4096 * 2304
    streams: int = 32


class Video:
    """An indexed video.

    ``times`` is float64 (frames,): when each frame is shown, in seconds from the first, in order
    of presentation. Creating one reads all packets but decodes none.

    Raises ``Undecodable``, ``NoVideo``, ``OverLimits``, ``TooSlow``.
    """

    def __init__(self, data: bytes, limits: VideoLimits, deadline: Deadline) -> None:
        self._data, self._limits, self._deadline = data, limits, deadline
        self.frames_decoded = 0
        self.frames_damaged = 0
        self.width, self.height = 0, 0
        """Size of the upright frames; known once the first is decoded."""
        with self._open() as (container, stream):
            self.container = container.format.name.split(",")[0]
            self.codec = stream.codec_context.name
            self._time_base = float(stream.time_base or 0)
            stamps = self._read_stamps(container, stream)
            rate = stream.average_rate or stream.guessed_rate
        self.fps = float(rate) if rate else None
        if not stamps:
            raise Undecodable("the video holds no frames")
        self._index: dict[int, int] | None = None
        """Frame index by presentation time stamp; None where frames have to be counted."""
        known = sorted({stamp for stamp in stamps if stamp is not None})
        stamped = len(known) >= len(stamps) - 1 and bool(self._time_base)
        if stamped:
            self.times = (np.asarray(known, np.float64) - known[0]) * self._time_base
        else:
            self.times = np.arange(len(stamps), dtype=np.float64) / (self.fps or 25.0)
        if stamped and self.container not in _DECODE_TIMES_ONLY:
            self._index = {stamp: index for index, stamp in enumerate(known)}
        if self.duration > limits.duration:
            raise OverLimits(f"a video may last at most {limits.duration:g} seconds")

    @property
    def interval(self) -> float:
        """Seconds a frame is shown, as a rule."""
        if len(self.times) > 1:
            return float(np.median(np.diff(self.times)))
        return 1.0 / self.fps if self.fps else 0.04

    @property
    def duration(self) -> float:
        """Seconds from the first frame's appearance to the last one's disappearance."""
        return float(self.times[-1]) + self.interval

    def frames(self, wanted: Collection[int]) -> Iterator[Frame]:
        """Decode the frames with these indices, in order. Damaged ones are left out and counted.

        Raises ``Undecodable`` where not one of them decodes.
        """
        chosen = frozenset(wanted)
        last = max(chosen, default=-1)
        found, ordinal = 0, 0
        with self._open() as (container, stream):
            for picture in self._pictures(container, stream, chosen):
                self._deadline.check()
                index = self._position(picture, ordinal)
                ordinal += 1
                if index in chosen:
                    rgb = _upright(picture)
                    self.height, self.width = rgb.shape[:2]
                    found += 1
                    self.frames_decoded += 1
                    yield Frame(index, float(self.times[index]), rgb)
                if index >= last:
                    break
        self.frames_damaged = len(chosen) - found
        if chosen and not found:
            raise Undecodable("no frame of the video could be decoded")

    @contextmanager
    def _open(self) -> Iterator[tuple[InputContainer, VideoStream]]:
        limits = self._limits
        with open_container(
            self._data, deadline=self._deadline, max_streams=limits.streams
        ) as container:
            yield container, video_stream(container, max_pixels=limits.pixels)

    def _position(self, picture: VideoFrame, ordinal: int) -> int:
        if self._index is None:
            return ordinal
        return -1 if picture.pts is None else self._index.get(picture.pts, -1)

    def _read_stamps(self, container: InputContainer, stream: VideoStream) -> list[int | None]:
        stamps: list[int | None] = []
        for packet in _packets(container, stream):
            self._deadline.check()
            if packet.size and not packet.is_discard:
                stamps.append(packet.pts)
                if len(stamps) > self._limits.frames:
                    raise OverLimits(f"a video may have at most {self._limits.frames} frames")
        return stamps

    def _pictures(
        self, container: InputContainer, stream: VideoStream, wanted: frozenset[int]
    ) -> Iterator[VideoFrame]:
        for packet in _packets(container, stream):
            if self._index is not None and packet.pts is not None:
                # Frames that nothing refers to need not be decoded unless they are wanted.
                needed = self._index.get(packet.pts, -1) in wanted
                stream.codec_context.skip_frame = "DEFAULT" if needed else "NONREF"
            try:
                yield from packet.decode()
            except FFmpegError:
                continue


def _packets(container: InputContainer, stream: VideoStream) -> Iterator[Packet[VideoStream]]:
    """All packets up to the end or to where the container breaks off."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except (StopIteration, FFmpegError):
            return
        yield packet


def _upright(picture: VideoFrame) -> NDArray[np.uint8]:
    """The picture as uint8 (H, W, 3) RGB, turned as the container asks."""
    rgb = cast("NDArray[np.uint8]", picture.to_ndarray(format="rgb24"))
    quarters = round(picture.rotation / 90) % 4
    return np.ascontiguousarray(np.rot90(rgb, quarters)) if quarters else rgb
