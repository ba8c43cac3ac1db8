"""Media behind a URL of which the origin gives any part."""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict

from service.errors import OriginFailed
from service.sources.origin import Answer, Origin
from service.sources.pieces import Arrived

BLOCK = 2**20
"""Bytes that are asked of an origin at once."""

_RECENT = 16
"""Blocks kept of media that are larger than what may be held."""

_TRIES = 2
"""Of each block: connections that were idle for long may be gone."""


class Remote:
    """Media of which the origin gives any part; see ``Source``."""

    def __init__(
        self, origin: Origin, answer: Answer, size: int, largest: int, arrived: Arrived
    ) -> None:
        self.size = size
        self._origin, self._url = origin, answer.url
        self._validator = answer.validator
        self._headers = {"If-Range": self._validator} if self._validator else {}
        self._arrived = arrived
        self.notes: tuple[str, ...] = ()
        self.kept = size <= largest
        self._keep = -(-size // BLOCK) if self.kept else _RECENT
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self._digests: dict[int, bytes] = {}

    @classmethod
    async def begin(cls, origin: Origin, answer: Answer, largest: int, arrived: Arrived) -> Remote:
        """Take the first part, which is about to come."""
        if answer.span is None or not answer.span.size:
            raise OriginFailed("The origin sends no byte.")
        remote = cls(origin, answer, answer.span.size, largest, arrived)
        await remote._take(0, await remote._part(answer, 0))
        return remote

    @property
    def fetched(self) -> int:
        """Bytes that the origin has sent."""
        return self._origin.fetched

    @property
    def waited(self) -> float:
        """Seconds in which the origin was waited for."""
        return self._origin.waited

    @property
    def sha256(self) -> str | None:
        """Lower-case hex of the whole media, once all of them are held."""
        if len(self._blocks) * BLOCK < self.size:
            return None
        digest = hashlib.sha256()
        for number in sorted(self._blocks):
            digest.update(self._blocks[number])
        return digest.hexdigest()

    async def hashed(self) -> str:
        """See ``Source``."""
        digest = hashlib.sha256()
        for offset in range(0, self.size, BLOCK):
            await asyncio.to_thread(digest.update, await self.read(offset, BLOCK))
        return digest.hexdigest()

    async def read(self, offset: int, size: int) -> bytes:
        """See ``Source``."""
        parts = []
        end = min(offset + size, self.size)
        while offset < end:
            number, at = divmod(offset, BLOCK)
            part = (await self._block(number))[at : at + end - offset]
            parts.append(part)
            offset += len(part)
        return b"".join(parts)

    async def _block(self, number: int) -> bytes:
        if number not in self._blocks:
            await self._take(number, await self._fetch(number))
        self._blocks.move_to_end(number)
        return self._blocks[number]

    async def _take(self, number: int, block: bytes) -> None:
        if not self.kept:
            # It may be fetched again: who serves it must not show us another file then.
            digest = (await asyncio.to_thread(hashlib.sha256, block)).digest()
            if self._digests.setdefault(number, digest) != digest:
                raise _changed()
        if len(self._blocks) < self._keep:
            self._arrived(len(block))
        else:
            self._blocks.popitem(last=False)
        self._blocks[number] = block

    async def _fetch(self, number: int) -> bytes:
        first, last = self._bounds(number)
        for left in reversed(range(_TRIES)):
            try:
                headers = {"Range": f"bytes={first}-{last}", **self._headers}
                async with self._origin.get(self._url, headers) as answer:
                    return await self._part(answer, number)
            except OriginFailed:
                if not left:
                    raise
        raise AssertionError("unreachable")

    async def _part(self, answer: Answer, number: int) -> bytes:
        first, last = self._bounds(number)
        if answer.status != 206 or answer.validator != self._validator:
            raise _changed()
        require_identity(answer)
        span = answer.span
        if span is None or (span.first, span.last, span.size) != (first, last, self.size):
            raise OriginFailed("The origin sends another part of the media than it was asked for.")
        data = await answer.body(last + 1 - first)
        if len(data) != last + 1 - first:
            raise OriginFailed("The origin sends less than it announces.")
        return data

    def _bounds(self, number: int) -> tuple[int, int]:
        """First and last byte of a block."""
        return number * BLOCK, min((number + 1) * BLOCK, self.size) - 1


def _changed() -> OriginFailed:
    return OriginFailed("The media changed while they were read, or are served no more.")


def require_identity(answer: Answer) -> None:
    """Raise ``OriginFailed`` where a body is not the media as they are."""
    if (answer.header("content-encoding") or "identity").lower() != "identity":
        raise OriginFailed("The origin encodes the media, which it was asked not to.")
