"""Videos with damage done to them, the same for the same seed and number."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from functools import cache

from tests import media
from tests.security.hostile_media import coded

_EDGES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
_HEAD = 2048
"""Containers say most of what they say within so many bytes of either end."""


@cache
def originals() -> tuple[bytes, ...]:
    """Small good videos of many containers and codecs, one of them with faces."""
    frames = media.numbered_frames(12)
    short = {"g": "4"}
    return (
        media.group_video(5),
        coded(frames, "libx264", options=short),
        coded(frames, "libx264", pixels="yuv444p10le", container="matroska", options=short),
        coded(frames, "libx264", container="mpegts", options=short),
        coded(frames, "libx264", container="flv", options=short),
        coded(
            frames,
            "libx264",
            options=short,
            container_options={"movflags": "frag_keyframe+empty_moov"},
        ),
        coded(frames, "libx265", options={"x265-params": "log-level=none"}),
        coded(frames, "libvpx-vp9", container="webm", options={"cpu-used": "8"}),
        coded(frames, "libvpx", container="webm"),
        media.av1_video(frames),
        coded(frames, "mpeg4", container="avi"),
        coded(frames, "mpeg2video", container="mpeg"),
        coded(frames, "mjpeg", container="mov", pixels="yuvj420p"),
        coded(frames, "wmv2", container="asf"),
        coded(frames, "ffv1", container="matroska"),
        coded(frames, "mpeg2video", container="mxf"),
    )


def mutated(seed: int, number: int) -> bytes:
    """One of the originals with one to eight mutations."""
    rng = random.Random(f"{seed}:{number}")
    data = bytearray(rng.choice(originals()))
    for _ in range(rng.choice((1, 1, 2, 3, 5, 8))):
        rng.choice(_MUTATIONS)(data, rng)
        if len(data) < 8:
            break
    return bytes(data)


def _place(data: bytearray, rng: random.Random) -> int:
    """Somewhere, half the time near an end."""
    last = max(len(data) - 4, 0)
    match rng.randrange(4):
        case 0:
            return rng.randint(0, min(_HEAD, last))
        case 1:
            return rng.randint(max(0, last - _HEAD), last)
        case _:
            return rng.randint(0, last)


def _flip(data: bytearray, rng: random.Random) -> None:
    data[_place(data, rng)] ^= 1 << rng.randrange(8)


def _noise(data: bytearray, rng: random.Random) -> None:
    at, size = _place(data, rng), rng.randint(1, 64)
    data[at : at + size] = rng.randbytes(len(data[at : at + size]))


def _edge(data: bytearray, rng: random.Random) -> None:
    at, form = _place(data, rng), rng.choice((">I", "<I", ">H", "<H", "B"))
    size = struct.calcsize(form)
    value = rng.choice(_EDGES) & (256**size - 1)
    data[at : at + size] = struct.pack(form, value)


def _cut_out(data: bytearray, rng: random.Random) -> None:
    at = _place(data, rng)
    del data[at : at + rng.choice((1, 4, 16, 256, 4096))]


def _repeat(data: bytearray, rng: random.Random) -> None:
    at, size = _place(data, rng), rng.choice((1, 4, 16, 256, 4096))
    data[at:at] = data[at : at + size] * rng.choice((1, 1, 20))


def _break_off(data: bytearray, rng: random.Random) -> None:
    del data[rng.randint(0, len(data)) :]


def _graft(data: bytearray, rng: random.Random) -> None:
    other = rng.choice(originals())
    at, size = rng.randrange(len(other)), rng.choice((16, 256, 4096))
    place = _place(data, rng)
    data[place : place + size] = other[at : at + size]


_MUTATIONS: tuple[Callable[[bytearray, random.Random], None], ...] = (
    _flip, _flip, _noise, _edge, _edge, _edge, _cut_out, _repeat, _break_off, _graft,
)  # fmt: skip
