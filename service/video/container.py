"""The one module that calls ``av.open``, in the only way that is safe for hostile bytes.

FFmpeg opens files, sockets and URLs when the bytes it is given are a playlist, a concat script or
an SDP. Here it gets an object without a name, a whitelist of real containers, no protocol at all
and an ``io_open`` that refuses; probing and the number of streams are bounded.
"""

from __future__ import annotations

import importlib
import io
import pkgutil
from collections.abc import Iterator
from contextlib import contextmanager

import av
import numpy as np
from av.container import InputContainer, OutputContainer
from av.error import FFmpegError
from av.stream import Disposition
from av.video.stream import VideoStream

from service.errors import NoVideo, OverLimits, Undecodable
from service.video.deadline import Deadline
from service.video.readable import Held, Readable

CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,flv,ogg,asf,mxf"

_OPTIONS = {
    "format_whitelist": CONTAINERS,
    "protocol_whitelist": "none",
    "enable_drefs": "0",
    "use_absolute_path": "0",
    "probesize": str(8 * 2**20),
    "analyzeduration": str(10 * 10**6),
    # FFmpeg's own bound is only a backstop: a stream over it vanishes silently, and packets of
    # its neighbours with it.
    "max_streams": "256",
}


class _Reader:
    """Media as FFmpeg may read them; has no ``name`` on purpose."""

    def __init__(self, media: Readable, deadline: Deadline) -> None:
        self._media = media
        self._at = 0
        self._deadline = deadline

    def read(self, size: int) -> bytes:
        # av.open's own timeout does not bound custom IO; and PyAV copies what it gets without
        # looking at the length, so never more than was asked for, and real bytes.
        self._deadline.check()
        if size <= 0:
            return b""
        chunk = bytes(self._media.read(self._at, size)[:size])
        self._at += len(chunk)
        return chunk

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._media.size}[whence]
        self._at = min(max(base + offset, 0), self._media.size)
        return self._at

    def tell(self) -> int:
        return self._at


def _refuse(url: str, flags: int, options: dict[str, str]) -> object:
    raise PermissionError("a container may not open anything else")


def demand_memory(error: FFmpegError, needed: int = 0) -> None:
    """Raises ``MemoryError`` where FFmpeg was refused memory: that is no damage of the media, which
    could be passed over. Decoders tell it as anything, so that they are also taken to have lacked
    memory where ``needed`` bytes cannot be had now."""
    if isinstance(error, MemoryError):
        raise MemoryError from error
    np.empty(needed, np.uint8)


def load_all() -> None:
    """Import what PyAV else imports when it first meets a stream of some kind, which a process that
    may open no file cannot."""
    for module in pkgutil.walk_packages(av.__path__, "av."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)


@contextmanager
def open_container(
    media: bytes | Readable, *, deadline: Deadline, max_streams: int = 32
) -> Iterator[InputContainer]:
    """Open media as a container for reading.

    Raises ``Undecodable`` where they are none of ``CONTAINERS``, ``OverLimits`` where it holds
    more streams than allowed, ``TooSlow`` past the deadline, ``MemoryError``.
    """
    readable = Held(media) if isinstance(media, bytes) else media
    try:
        with deadline.opening():
            container = av.open(  # noqa: TID251
                _Reader(readable, deadline),
                mode="r",
                container_options=_OPTIONS,
                metadata_errors="replace",
                io_open=_refuse,
            )
    except (FFmpegError, ValueError, UnicodeError, PermissionError) as error:
        if isinstance(error, FFmpegError):
            demand_memory(error)
        raise Undecodable("the bytes are not a video container that can be read here") from error
    try:
        if len(container.streams) > max_streams:
            raise OverLimits(f"a container may hold at most {max_streams} streams")
        yield container
    finally:
        container.close()


def video_stream(container: InputContainer, *, max_pixels: int) -> VideoStream:
    """The stream to score: the largest moving picture, never cover art.

    Raises ``Undecodable`` where the container holds nothing at all, ``NoVideo`` where it holds
    other things, ``OverLimits`` where the frames are too large.
    """
    if not container.streams:
        raise Undecodable("the container's index is missing or broken")
    streams = [
        stream
        for stream in container.streams.video
        if not stream.disposition & Disposition.attached_pic and stream.codec_context is not None
    ]
    if not streams:
        raise NoVideo("the container holds no moving pictures")
    stream = max(streams, key=lambda each: (each.width or 0) * (each.height or 0))
    if (stream.width or 0) * (stream.height or 0) > max_pixels:
        raise OverLimits(f"a frame may have at most {max_pixels} pixels")
    # The options given to av.open do not reach the decoder, which would believe a later header.
    stream.codec_context.options = {"max_pixels": str(max_pixels)}
    # Videos are worked on in parallel; threads inside one decoder only add overhead.
    stream.thread_type = "NONE"
    stream.codec_context.thread_count = 1
    return stream


@contextmanager
def open_writer(target: io.BytesIO, container: str = "mp4") -> Iterator[OutputContainer]:
    """Open an in-memory file for writing a video of our own making."""
    output = av.open(target, mode="w", format=container)  # noqa: TID251
    try:
        yield output
    finally:
        output.close()
