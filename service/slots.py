"""Who may read a video now: a few at a time, with one place that long videos never take."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType


class Slots:
    """``count`` places for videos that are being read, in the order in which they asked.

    A video that has been read for longer than a short one takes also needs one of ``count - 1``
    permits to go on. So one place is only ever held by videos in their first ``short`` seconds:
    who waits behind k others has a place after at most ``k * short`` seconds of reading, however
    many long videos there are. With a single place there is none to keep free.
    """

    def __init__(self, count: int, short: float) -> None:
        self.short = short
        self._places = asyncio.Semaphore(count)
        self._long = asyncio.Semaphore(max(1, count - 1))

    def enter(self) -> Place:
        """A place, to be held with ``async with``."""
        return Place(self._places, self._long)


class Place:
    """One video's place; ``lengthen`` when it turns out to be long."""

    def __init__(self, places: asyncio.Semaphore, long: asyncio.Semaphore) -> None:
        self._places, self._long = places, long
        self._holds_place = self._holds_permit = False

    async def __aenter__(self) -> Place:
        await self._places.acquire()
        self._holds_place = True
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._holds_place:
            self._places.release()
        if self._holds_permit:
            self._long.release()

    async def lengthen(self, pause: Callable[[], None], resume: Callable[[], None]) -> None:
        """Go on as a long video. Where too many are, its work is stopped by ``pause``, its place
        goes to who waits, and ``resume`` is called when it has one again."""
        if not self._long.locked():
            await self._long.acquire()
            self._holds_permit = True
            return
        pause()
        self._places.release()
        self._holds_place = False
        await self._long.acquire()
        self._holds_permit = True
        await self._places.acquire()
        self._holds_place = True
        resume()
