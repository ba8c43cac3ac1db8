"""A budget of seconds that only runs while the work does, and the means to end it early."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, nullcontext

from service.errors import ServiceError, TooSlow


class Deadline:
    """Counts the seconds between ``resume`` and ``pause``; starts paused.

    The consumer of a generator pauses it while it does something else with what was yielded, so
    that slow classification is not charged to decoding.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._spent = 0.0
        self._since: float | None = None
        self._cancelled: ServiceError | None = None

    @property
    def spent(self) -> float:
        """Seconds used so far."""
        running = 0.0 if self._since is None else time.monotonic() - self._since
        return self._spent + running

    def resume(self) -> None:
        """Start counting."""
        if self._since is None:
            self._since = time.monotonic()

    def pause(self) -> None:
        """Stop counting."""
        self._spent, self._since = self.spent, None

    def cancel(self, error: ServiceError) -> None:
        """Make every later ``check`` raise this; callable from any thread."""
        self._cancelled = error

    def opening(self) -> AbstractContextManager[None]:
        """Around the opening of a container, which may take long and in which nobody checks."""
        return nullcontext()

    def check(self) -> None:
        """Raises ``TooSlow`` once the budget is used up, or what ``cancel`` was given."""
        if self._cancelled is not None:
            raise self._cancelled
        if self.spent > self._seconds:
            raise TooSlow(f"decoding took longer than {self._seconds:g} seconds")
