"""A video in memory: what is in it, when its frames are shown, and the frames asked for."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from service.errors import OverLimits, Undecodable
from service.video.container import demand_memory, open_container, video_stream
from service.video.deadline import Deadline
from service.video.decoded import Converters, Decoded
from service.video.frames import Frame
from service.video.readable import Held, Readable
from service.video.route import Astray, Key, Route
from service.video.skimming import CODECS, Skimmed, coded_frames

_DECODE_TIMES_ONLY = frozenset({"avi", "asf"})
"""Containers whose packets say when to decode, not when to show: with B-frames FFmpeg gives the
former as the latter, which is the wrong frame by one or two."""

_PICTURE = 12
"""Bytes a pixel that decoding one picture may take: three colours of 16 bits, once more as RGB."""

_MISSING_SECONDS = 1.0
"""A file that announces this much more than it holds is reported as broken off."""


@dataclass(frozen=True, slots=True)
class VideoLimits:
    """What is refused: seconds, frames, pixels of a frame, streams of a container."""

    duration: float = 7200.0
    frames: int = 500_000
    pixels: int = 4096 * 2304
    streams: int = 32


class Video:
    """An indexed video; ``media`` are its bytes or something that gives them piece by piece.

    ``times`` is float64 (frames,): when each frame is shown, in seconds from the first, in order
    of presentation. Creating one reads all packets, or where these are listed apart only their
    list, and decodes none.

    Raises ``Undecodable``, ``NoVideo``, ``OverLimits``, ``TooSlow``, ``MemoryError``.
    """

    def __init__(self, media: bytes | Readable, limits: VideoLimits, deadline: Deadline) -> None:
        readable = Held(media) if isinstance(media, bytes) else media
        self._media = Skimmed(readable, coded_frames(readable))
        self._limits, self._deadline = limits, deadline
        self.frames_decoded = 0
        self.frames_damaged = 0
        self.width, self.height = 0, 0
        """Size of the first upright frame; known once it is decoded."""
        with self._open() as (container, stream):
            self.container = container.format.name.split(",")[0]
            self.codec = stream.codec_context.name
            time_base = float(stream.time_base or 0)
            self._media.on = stream.codec_context.codec.canonical_name in CODECS
            stamps, keys = self._read_stamps(container, stream)
            rate = stream.average_rate or stream.guessed_rate
            # Damage can announce millennia.
            self._announced = min(_announced_seconds(container, stream), limits.duration)
            reorders = stream.codec_context.has_b_frames
        self._media.on = False
        if not stamps:
            raise Undecodable("the video holds no frames")
        self.fps = float(rate) if rate else None
        known = sorted(stamp for stamp in stamps if stamp is not None)
        if len(known) == len(stamps) and time_base:
            self.times = (np.asarray(known, np.float64) - known[0]) * time_base
        else:
            self.times = np.arange(len(stamps), dtype=np.float64) / (self.fps or 25.0)
        # Frames that are shown in another order than they are stored in prove that the stamps are
        # times of presentation; a codec that reorders and stamps that do not are contradictory.
        contradictory = reorders and stamps == known and len(stamps) > 2
        distinct = len(set(known)) == len(stamps)
        self._index: dict[int, int] | None = None
        """Frame index by presentation time stamp; None where frames have to be counted."""
        if distinct and not contradictory and self.container not in _DECODE_TIMES_ONLY:
            self._index = {stamp: index for index, stamp in enumerate(known)}
        self._stamps = known
        self._keys = keys if self._index is not None else []
        if not self.duration <= limits.duration:
            raise OverLimits(f"a video may last at most {limits.duration:g} seconds")

    @property
    def ends(self) -> NDArray[np.float64]:
        """float64 (frames,): when each frame disappears, in seconds from the first's start."""
        return np.append(self.times[1:], self.duration)

    @property
    def seconds_missing(self) -> float:
        """Seconds that the file announces beyond the last frame it holds, as far as videos may last
        at all; 0 where it is whole."""
        missing = self._announced - self.duration
        return missing if missing > _MISSING_SECONDS else 0.0

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
        chosen = sorted(set(wanted))
        found, before = 0, -1
        while found < len(chosen):
            try:
                for frame in self._decoded(chosen, after=before):
                    before, found = frame.index, found + 1
                    yield frame
                break
            except Astray:
                self._keys = []
        self.frames_damaged = len(chosen) - found
        if chosen and not found:
            raise Undecodable("no frame of the video could be decoded")

    def _decoded(self, wanted: Sequence[int], after: int) -> Iterator[Frame]:
        """Those of the wanted frames that come after this one and decode. Raises ``Astray``."""
        chosen = frozenset(wanted)
        route = Route(wanted, self._stamps, self._keys)
        ordinal = 0
        converters = Converters()
        with self._open() as (container, stream):
            for picture in self._pictures(container, stream, chosen, route):
                self._deadline.check()
                index = self._position(picture, ordinal)
                ordinal += 1
                route.showed(index)
                # Broken stamps may go backwards; whoever follows faces relies on their order.
                if index in chosen and index > after:
                    decoded = Decoded(picture, converters)
                    if not decoded.convertible:
                        continue
                    if not self.frames_decoded:
                        self.height, self.width = decoded.shape[:2]
                    after = index
                    self.frames_decoded += 1
                    yield Frame(index, float(self.times[index]), decoded)
                if index >= wanted[-1]:
                    break

    @contextmanager
    def _open(self) -> Iterator[tuple[InputContainer, VideoStream]]:
        limits = self._limits
        with open_container(
            self._media, deadline=self._deadline, max_streams=limits.streams
        ) as container:
            yield container, video_stream(container, max_pixels=limits.pixels)

    def _position(self, picture: VideoFrame, ordinal: int) -> int:
        if self._index is None:
            return ordinal
        return -1 if picture.pts is None else self._index.get(picture.pts, -1)

    def _read_stamps(
        self, container: InputContainer, stream: VideoStream
    ) -> tuple[list[int | None], list[Key]]:
        """When each frame is shown, in the order in which they are stored, and those that need no
        other."""
        stamps: list[int | None] = []
        keys: list[Key] = []
        # Of what is skimmed, the packets themselves no longer tell.
        starts: set[int] = set()
        if self._media.skims:
            if len(stream.index_entries) > self._limits.frames:
                raise OverLimits(f"a video may have at most {self._limits.frames} frames")
            starts = {entry.timestamp for entry in stream.index_entries if entry.is_keyframe}
        for packet in _packets(container, stream):
            self._deadline.check()
            if packet.size and not packet.is_discard:
                if packet.dts in starts and packet.pts is not None and packet.dts is not None:
                    keys.append(Key(len(stamps), packet.pts, packet.dts))
                stamps.append(packet.pts)
                if len(stamps) > self._limits.frames:
                    raise OverLimits(f"a video may have at most {self._limits.frames} frames")
        return stamps, keys

    def _pictures(
        self,
        container: InputContainer,
        stream: VideoStream,
        wanted: frozenset[int],
        route: Route,
    ) -> Iterator[VideoFrame]:
        opened = False
        packets = _packets(container, stream)
        while True:
            if (key := route.jump()) is not None:
                container.seek(key.pts, stream=stream)
                packets = _packets(container, stream)
            packet = next(packets, None)
            if packet is None:
                return
            # Some decoders fix what they skip when they open: the first packet is always whole.
            if opened and self._index is not None and packet.pts is not None:
                # Frames that nothing refers to need not be decoded unless they are wanted.
                needed = self._index.get(packet.pts, -1) in wanted
                stream.codec_context.skip_frame = "DEFAULT" if needed else "NONREF"
            opened = True
            if packet.size and not packet.is_discard:
                route.took(packet.dts)
            try:
                yield from packet.decode()
            except FFmpegError as error:
                demand_memory(error, stream.width * stream.height * _PICTURE)


def _announced_seconds(container: InputContainer, stream: VideoStream) -> float:
    """How long the file says the video lasts; 0 where it does not say."""
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return (container.duration or 0) / 1e6


def _packets(container: InputContainer, stream: VideoStream) -> Iterator[Packet[VideoStream]]:
    """All packets up to the end or to where the container breaks off."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except FFmpegError as error:
            demand_memory(error)
            return
        yield packet
