"""How often each caller may ask: one token bucket each."""

from __future__ import annotations

import time
from collections.abc import Callable

_MOST = 10_000
"""Buckets kept. Beyond, the one that was used longest ago is forgotten, as if it were full."""


class Throttle:
    """Lets each caller do ``per_minute`` things a minute, as many of them at once after a pause;
    0 sets no bound."""

    def __init__(self, per_minute: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = per_minute / 60
        self._size = max(1.0, per_minute)
        self._clock = clock
        self._buckets: dict[str, tuple[float, float]] = {}
        """Per caller tokens and when they were counted, in the order of use."""

    def wait(self, caller: str) -> float:
        """Seconds until this caller may go on; 0 now."""
        if not self._rate:
            return 0.0
        lacking = 1.0 - self._tokens(caller)
        # Whoever waited exactly as told must not fail by a rounding.
        return lacking / self._rate if lacking > 1e-9 else 0.0

    def take(self, caller: str) -> None:
        """This caller does one thing."""
        if not self._rate:
            return
        tokens = self._tokens(caller) - 1.0
        self._buckets.pop(caller, None)
        self._buckets[caller] = (tokens, self._clock())
        if len(self._buckets) > _MOST:
            del self._buckets[next(iter(self._buckets))]

    def _tokens(self, caller: str) -> float:
        tokens, counted = self._buckets.get(caller, (self._size, 0.0))
        return min(self._size, tokens + (self._clock() - counted) * self._rate)
