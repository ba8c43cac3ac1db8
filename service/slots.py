"""Who reads a video now: a few at a time, the short ones before long ones can matter.

A video is short until it has had a place for ``short`` seconds, or is found to have more than
``frames`` frames that must be looked at. While there are short and long
ones, short ones have all places but one, in the order of their arrival, and the long ones the last;
what one kind leaves free the other takes. So with n places a video waits for at most
``k * short / (n - 1)`` seconds for its first place behind k others, however long those are, and a
long one always gets on. Long ones that have no place are halted, whatever they are doing, and take
turns: the one that has had the fewest turns of ``short`` seconds goes first. With a single place
short ones go first. Long ones also make way on the processors, to short ones and to the networks.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

_LOOK_SECONDS = 0.2


class Reading(Protocol):
    """Work that can be halted."""

    def pause(self) -> None: ...

    def resume(self) -> None: ...

    def make_way(self) -> None:
        """Let others have the processors first, from now on."""
        ...


class Place:
    """One video's claim to a place."""

    def __init__(self, slots: Slots) -> None:
        self._slots = slots
        self._given = asyncio.Event()
        self._reading: Reading | None = None
        self._held, self._since = 0.0, 0.0
        self._frames, self._is_long = 0, False

    @property
    def has_place(self) -> bool:
        return self._given.is_set()

    @property
    def held(self) -> float:
        """Seconds for which it has had a place."""
        return self._held + (time.monotonic() - self._since if self.has_place else 0.0)

    @property
    def frames(self) -> int:
        """Frames that must be looked at, as far as is known."""
        return self._frames

    def expect(self, frames: int) -> None:
        """Say how many frames must be looked at."""
        if frames != self._frames:
            self._frames = frames
            self._slots.arrange()

    async def wait(self) -> None:
        """Until it has a place."""
        await self._given.wait()

    def occupy(self, reading: Reading) -> None:
        """Say what is to be halted when the place is needed."""
        self._reading = reading
        if self._is_long:
            reading.make_way()
        if not self.has_place:
            reading.pause()

    def vacate(self) -> None:
        """Give the place back, once and for all; again does nothing."""
        self._reading = None
        self._slots.leave(self)

    def turn_long(self) -> None:
        """Say that it is long: it will not be short again."""
        if not self._is_long:
            self._is_long = True
            if self._reading is not None:
                self._reading.make_way()

    def give(self) -> None:
        self._since = time.monotonic()
        self._given.set()
        if self._reading is not None:
            self._reading.resume()

    def take(self) -> None:
        self._held = self.held
        self._given.clear()
        if self._reading is not None:
            self._reading.pause()


class Slots:
    """``count`` places; see the module."""

    def __init__(self, count: int, short: float, frames: int) -> None:
        self._count, self._short, self._frames = count, short, frames
        self._claims: list[Place] = []
        """In the order of arrival."""
        self._ticker: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def place(self) -> AsyncIterator[Place]:
        """A place, waited for. What is read there says so by ``occupy``."""
        claim = Place(self)
        self._claims.append(claim)
        try:
            self.arrange()
            await claim.wait()
            yield claim
        finally:
            claim.vacate()

    def leave(self, claim: Place) -> None:
        """Forget a claim."""
        if claim in self._claims:
            self._claims.remove(claim)
            self.arrange()

    def arrange(self) -> None:
        """Give the places to whom they belong now."""
        chosen = self._chosen()
        for claim in self._claims:
            if claim.has_place and claim not in chosen:
                claim.take()
        for claim in chosen:
            if not claim.has_place:
                claim.give()
        if self._claims and self._ticker is None:
            self._ticker = asyncio.create_task(self._tick())

    def _chosen(self) -> list[Place]:
        short = [claim for claim in self._claims if self._is_short(claim)]
        long = [claim for claim in self._claims if not self._is_short(claim)]
        for claim in long:
            claim.turn_long()
        # Of equal turns the one that runs goes on: a change for nothing would only cost.
        long.sort(key=lambda claim: (claim.held // self._short, not claim.has_place))
        for_short = min(len(short), max(1, self._count - 1))
        of_long = min(len(long), self._count - for_short)
        return short[: self._count - of_long] + long[:of_long]

    def _is_short(self, claim: Place) -> bool:
        return claim.held < self._short and claim.frames <= self._frames

    async def _tick(self) -> None:
        """Look now and then who has become long and whose turn is over."""
        while self._claims:
            await asyncio.sleep(_LOOK_SECONDS)
            self.arrange()
        self._ticker = None
