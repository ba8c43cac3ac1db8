"""Who may come in: the bounds on videos and bytes that the service holds at any moment."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from service.errors import Busy, NotReady, RateLimited
from service.settings import AuthSettings, Limits
from service.throttle import Throttle

_FIRST_WAIT = 5.0
_WAITS = (1.0, 60.0)
"""Seconds: what ``Retry-After`` is before anything was measured, and its bounds later."""

_MEMORY = 0.8
"""How much of the measured mean each further video leaves."""


@dataclass(slots=True)
class _Holding:
    """What one caller has of all."""

    videos: int = 0
    media_bytes: int = 0


class Admission:
    """Counts what is held. Everything happens in one event loop, so no locks are needed.

    ``shed`` is told the reason of every refusal.
    """

    def __init__(
        self,
        limits: Limits,
        auth: AuthSettings,
        shed: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limits, self._auth = limits, auth
        self._shed, self._clock = shed, clock
        self._throttle = Throttle(auth.requests_per_minute, clock)
        self._callers: dict[str, _Holding] = {}
        places = limits.concurrency + limits.waiting
        self._most_of_one = auth.concurrency or max(1, int(places * limits.caller_share))
        self._most_bytes_of_one = max(self.largest, limits.media_bytes * limits.caller_share)
        self._mean: float | None = None
        self.held = 0
        """Videos being received, waiting or worked on."""
        self.media_bytes = 0
        """Bytes that they hold or have announced."""
        self.lists = 0
        """Lists of videos that are scored."""
        self.closed = False
        """Whether nothing new is taken."""

    @property
    def largest(self) -> int:
        """Bytes of the largest upload that can ever be taken."""
        return min(self._limits.bytes, self._limits.media_bytes)

    def admit(self, caller: str, announced: int) -> Place:
        """A place for one video of which ``announced`` bytes are known to come, 0 where unknown.

        Raises ``NotReady`` when closed, ``RateLimited`` and ``Busy``; a refused video costs its
        caller no token.
        """
        if self.closed:
            self._shed("draining")
            raise NotReady("draining: what was taken is finished, nothing new is taken")
        wait = self._throttle.wait(caller)
        if wait > 0:
            self._shed("rate")
            raise RateLimited("Too many videos in too short a time.", retry_after=wait)
        if self.held >= self._limits.concurrency + self._limits.waiting:
            self._shed("places")
            raise Busy("As many videos are held as may be.", retry_after=self._wait(self.held))
        own = self._of(caller).videos
        if own >= self._most_of_one:
            self._shed("caller_concurrency")
            raise RateLimited(
                f"At most {self._most_of_one} videos of one caller are taken at a time.",
                retry_after=self._wait(own),
            )
        self._require_room(caller, announced)
        self._throttle.take(caller)
        return Place(self, caller, announced)

    def _of(self, caller: str) -> _Holding:
        return self._callers.get(caller, _Holding())

    def _enter(self, caller: str) -> float:
        self.held += 1
        self._callers.setdefault(caller, _Holding()).videos += 1
        return self._clock()

    def _reserve(self, caller: str, size: int) -> None:
        """So many bytes more, or fewer."""
        self.media_bytes += size
        self._callers[caller].media_bytes += size

    def _leave(self, caller: str, since: float) -> None:
        self.held -= 1
        self._callers[caller].videos -= 1
        if not self._callers[caller].videos:
            del self._callers[caller]
        took = self._clock() - since
        self._mean = took if self._mean is None else _MEMORY * self._mean + (1 - _MEMORY) * took

    def _require_room(self, caller: str, size: int) -> None:
        if self.media_bytes + size > self._limits.media_bytes:
            self._shed("media_bytes")
            wait = self._wait(self.held)
            raise Busy("As many bytes of media are held as may be.", retry_after=wait)
        own = self._of(caller)
        if own.media_bytes + size > self._most_bytes_of_one:
            self._shed("media_bytes")
            raise RateLimited(
                "As many bytes of media are held as one caller may have.",
                retry_after=self._wait(own.videos),
            )

    def _wait(self, held: int) -> float:
        """Seconds until one of so many places is free: each held for the mean time that the last
        videos had theirs, one becomes free every mean / held seconds (Little's law)."""
        if self._mean is None:
            return _FIRST_WAIT
        low, high = _WAITS
        return min(high, max(low, self._mean / max(1, held)))


class Place:
    """What one video may hold until it is released."""

    def __init__(self, admission: Admission, caller: str, announced: int) -> None:
        self._admission, self._caller = admission, caller
        self._since = admission._enter(caller)
        self._reserved = self._arrived = 0
        self._released = False
        self._reserve(announced)

    def arrive(self, size: int) -> None:
        """So many more bytes came. Raises ``Busy`` where there is no room for them."""
        self._arrived += size
        if self._arrived > self._reserved:
            self._admission._require_room(self._caller, self._arrived - self._reserved)
            self._reserve(self._arrived)

    def settle(self, size: int) -> None:
        """All has come; so many bytes of it are kept."""
        self._reserve(size)

    def release(self) -> None:
        """Give everything back; again does nothing."""
        if not self._released:
            self._released = True
            self._reserve(0)
            self._admission._leave(self._caller, self._since)

    def _reserve(self, size: int) -> None:
        self._admission._reserve(self._caller, size - self._reserved)
        self._reserved = size
