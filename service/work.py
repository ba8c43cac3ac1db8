"""One detection on its way: what it has told so far, and how it ended.

Whoever wants to know, at once or later, looks here. The work goes on at its own pace: a slow
listener holds nothing up, and gets a newer progress instead of a queue of old ones.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass

from service.engine import Event, Finished, Progress, SegmentScored
from service.errors import NotReady, ServiceError
from service.logs import origin
from service.report import Report, Timing

_log = logging.getLogger("service.work")


@dataclass(frozen=True, slots=True)
class Outcome:
    """How it ended: ``report`` is JSON, much smaller than the objects; or there is an error."""

    report: bytes = b""
    timing: Timing | None = None
    error: ServiceError | None = None


Followed = AsyncGenerator[Progress | SegmentScored | None, None]


class Work:
    """A detection in a task of its own.

    Its media took ``received`` seconds to arrive. ``finished`` is called with the report, ``ended``
    when all is over and the media are let go, however that came.
    """

    def __init__(
        self,
        events: AsyncIterator[Event],
        request_id: str,
        *,
        received: float,
        finished: Callable[[Report], None],
        ended: Callable[[], None],
    ) -> None:
        self.request_id, self.received = request_id, received
        self.progress: Progress | None = None
        self.segments: list[SegmentScored] = []
        self.outcome: Outcome | None = None
        self.abandoned = False
        """Whether it was cancelled before it had an outcome."""
        self._reason: ServiceError = NotReady("The work was cancelled.")
        self._finished = finished
        self._news = asyncio.Event()
        self._task = asyncio.create_task(self._run(events))
        # Unlike a finally in the task, this runs even if the task is cancelled before it begins.
        self._task.add_done_callback(lambda _: self._end(ended))

    def follow(self, beat: float) -> Followed:
        """Everything told so far, then everything that comes, until the end; None where nothing
        came for ``beat`` seconds. What is asked for after the end gets the last progress alone:
        see ``outcome``."""
        return self._follow(self.segments, beat)

    async def _follow(self, segments: list[SegmentScored], beat: float) -> Followed:
        seen = 0
        progress: Progress | None = None
        while True:
            news, over = self._news, self.outcome is not None
            while seen < len(segments):
                seen += 1
                yield segments[seen - 1]
            if self.progress is not progress:
                progress = self.progress
                yield progress
            if over:
                return
            if not await _set(news, beat):
                yield None

    async def begun(self, seconds: float) -> None:
        """Wait until there is anything to tell, or so many seconds are over."""
        if self.progress is None and not self.segments and self.outcome is None:
            await _set(self._news, seconds)

    async def end(self) -> Outcome:
        """Wait for the outcome."""
        await asyncio.wait([self._task])
        assert self.outcome is not None
        return self.outcome

    async def cancel(self, reason: ServiceError | None = None) -> None:
        """Stop, and wait until everything is released; nothing happens where it is over. Who
        still listens is told the reason."""
        self._reason = reason or self._reason
        self._task.cancel()
        await asyncio.wait([self._task])

    def replace(self, error: ServiceError) -> None:
        """Let the report go and end with this error instead."""
        self.outcome = Outcome(error=error)

    async def _run(self, events: AsyncIterator[Event]) -> None:
        try:
            async for event in events:
                if isinstance(event, Progress):
                    self.progress = event
                elif isinstance(event, SegmentScored):
                    self.segments.append(event)
                else:
                    await self._report(event)
                self._tell()
            if self.outcome is None:
                raise RuntimeError("the engine ended without a report")
        except ServiceError as error:
            self.outcome = Outcome(error=error)
        except Exception as error:
            _log.error("failed", extra={"fields": {"request_id": self.request_id} | origin(error)})
            self.outcome = Outcome(error=ServiceError("Something failed inside the service."))
        finally:
            close = getattr(events, "aclose", None)
            if close is not None:
                await close()

    async def _report(self, event: Finished) -> None:
        # Off the loop: a full report of hours of video is many megabytes.
        text = (await asyncio.to_thread(event.report.model_dump_json)).encode()
        self.outcome = Outcome(text, event.report.timing)
        self._finished(event.report)

    def _end(self, ended: Callable[[], None]) -> None:
        # A cancelled task keeps its exception, whose frames hold the media, until it is asked.
        with suppress(asyncio.CancelledError):
            self._task.exception()
        if self.outcome is None:
            self.outcome, self.abandoned = Outcome(error=self._reason), True
        if self.outcome.error is not None:
            # Its traceback leads to frames that hold the media, and a job keeps it for long.
            _forget_frames(self.outcome.error)
        self.segments = []
        ended()
        self._tell()

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()


async def _set(event: asyncio.Event, seconds: float) -> bool:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
    return event.is_set()


def _forget_frames(error: ServiceError) -> None:
    error.__traceback__ = error.__cause__ = error.__context__ = None
