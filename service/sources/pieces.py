"""A video that a site serves in many small files: fetched one by one, in order, into memory."""

from __future__ import annotations

import hashlib
import io
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass

from service.errors import OriginFailed, OverLimits, TooLarge
from service.sources.encryption import Keys, Lock, decrypted
from service.sources.origin import Answer, Origin
from service.sources.source import Memory
from service.sources.url import Url

MOST = 5000
"""Pieces of one video: hours of it."""

Arrived = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Piece:
    """``length`` bytes from ``offset`` on of what a URL leads to; all of it where that is None.
    ``seconds`` is what it is said to last, ``lock`` what it is encrypted with."""

    url: Url
    seconds: float = 0.0
    offset: int = 0
    length: int | None = None
    lock: Lock | None = None

    @property
    def is_file(self) -> bool:
        """Whether it is what lies at the URL, as it lies there."""
        return self.length is None and self.lock is None


@dataclass(frozen=True, slots=True)
class Stream:
    """The pieces of one video; joined they are a file. ``notes`` say what was left out."""

    pieces: tuple[Piece, ...]
    notes: tuple[str, ...] = ()

    @property
    def single(self) -> Url | None:
        """The one file that is all of it, if there is one."""
        whole = len(self.pieces) == 1 and self.pieces[0].is_file and not self.notes
        return self.pieces[0].url if whole else None

    @property
    def seconds(self) -> float:
        """What all are said to last."""
        return sum(piece.seconds for piece in self.pieces)


def too_many() -> OverLimits:
    """The error where a video has more than ``MOST``."""
    return OverLimits(f"A video may come in at most {MOST} pieces.")


async def join(origin: Origin, stream: Stream, largest: int, arrived: Arrived) -> Memory:
    """Fetch all pieces. Raises ``OverLimits``, ``TooLarge``, ``UrlBlocked``, ``OriginFailed`` and
    ``OriginSlow``."""
    if not stream.pieces:
        raise OriginFailed("The playlist names no piece of video.")
    if len(stream.pieces) > MOST:
        raise too_many()
    data, digest, keys = io.BytesIO(), hashlib.sha256(), Keys(origin)
    for piece in stream.pieces:
        async with aclosing(await _opened(origin, piece, keys)) as chunks:
            async for chunk in chunks:
                if data.tell() + len(chunk) > largest:
                    raise TooLarge(f"All pieces together are over the limit of {largest} bytes.")
                arrived(len(chunk))
                data.write(chunk)
                digest.update(chunk)
    if not data.tell():
        raise OriginFailed("The origin sends no byte.")
    return Memory(data.getvalue(), digest.hexdigest(), origin.waited, stream.notes)


async def _opened(origin: Origin, piece: Piece, keys: Keys) -> AsyncGenerator[bytes, None]:
    if piece.lock is None:
        return _sent(origin, piece)
    key = await keys.get(piece.lock.key)
    return decrypted(_sent(origin, piece), key, piece.lock.vector)


async def _sent(origin: Origin, piece: Piece) -> AsyncGenerator[bytes, None]:
    headers, received = {}, 0
    if piece.length is not None:
        headers["Range"] = f"bytes={piece.offset}-{piece.offset + piece.length - 1}"
    async with origin.get(piece.url, headers) as answer:
        _check(answer, piece)
        async for chunk in answer.chunks():
            received += len(chunk)
            if piece.length is not None and received > piece.length:
                raise OriginFailed("The origin sends more than it was asked for.")
            yield chunk
    if piece.length is not None and received < piece.length:
        raise OriginFailed("The origin sends less than it was asked for.")


def _check(answer: Answer, piece: Piece) -> None:
    if answer.status != (200 if piece.length is None else 206):
        raise OriginFailed(f"For a piece of the video the origin answers {answer.status}.")
    if (answer.header("content-encoding") or "identity").lower() != "identity":
        raise OriginFailed("The origin encodes the media, which it was asked not to.")
    if piece.length is not None:
        span = answer.span
        asked = (piece.offset, piece.offset + piece.length - 1)
        if span is None or (span.first, span.last) != asked:
            raise OriginFailed("The origin sends another part of the media than it was asked for.")
