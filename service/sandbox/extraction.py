"""One extraction in a child, as the parent sees it."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from types import TracebackType
from typing import Self

from service.clips import Clip
from service.errors import (
    MalformedRequest,
    NoVideo,
    OverLimits,
    ServiceError,
    TooSlow,
    Undecodable,
    WorkerLost,
)
from service.extraction import Extracted, Position
from service.sandbox.commands import OUT_OF_MEMORY
from service.sandbox.inspection import Inspector
from service.sandbox.job import ORDER, Job, Order
from service.sandbox.messages import Broken, Cut, FromChild, Reached, Read, Refused, from_child
from service.sandbox.nurse import Child
from service.sources.source import Source

_log = logging.getLogger(__name__)

_END_SECONDS = 5.0
"""Until a child's end is known after its socket closed or it was killed."""

_REFUSALS: dict[str, type[ServiceError]] = {
    error.code: error for error in (Undecodable, NoVideo, OverLimits, TooSlow, MalformedRequest)
}


class Extraction:
    """An asynchronous iterator of positions and clips that ends with one ``Extracted``.

    A context: entering starts the child, leaving it kills the child. Iterating raises what
    ``extract`` raises, what the source raises, ``TooSlow`` after ``job.seconds`` and
    ``WorkerLost``. ``spent`` is the child's working time in seconds: that in which the parent
    waits for it, not the time of pauses or of reading the source.
    """

    def __init__(self, child: Callable[[], Awaitable[Child]], source: Source, job: Job) -> None:
        self._new_child, self._source, self._job = child, source, job
        self._inspector = Inspector(job)
        self._clock = _Clock(job.seconds)
        self._child: Child | None = None
        self._finished = False
        self._unsaid: tuple[bytes, bytes] | None
        self._unsaid = (ORDER.dump_json(Order(job, source.size)), b"")
        """Head and body of what the child waits for."""

    @property
    def spent(self) -> float:
        """Seconds of the child's working time."""
        return self._clock.spent

    def pause(self) -> None:
        """Halt the child. What it has already sent can still be had."""
        self._clock.pause()
        self._living.stop()

    def resume(self) -> None:
        """Let it go on."""
        self._living.go_on()
        self._clock.resume()

    def make_way(self) -> None:
        """Let everything else on this machine have the processors first, from now on."""
        self._living.make_way()

    async def __aenter__(self) -> Self:
        self._child = await self._new_child()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        child = self._living
        child.kill()
        child.channel.close()
        await asyncio.wait([child.end], timeout=_END_SECONDS)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Position | Clip | Extracted:
        if self._finished:
            raise StopAsyncIteration
        head, body = await self._message()
        while isinstance(head, Read):
            with self._checked():
                self._inspector.read(head, self._source.size)
            # A source may take its time: that is not the child's.
            data = await self._source.read(head.offset, head.size)
            self._unsaid = (b"", data[: head.size])
            head, body = await self._message()
        if isinstance(head, Refused):
            raise _REFUSALS[head.code](head.detail)
        with self._checked():
            if isinstance(head, Reached):
                return self._inspector.position(head)
            if isinstance(head, Cut):
                return self._inspector.clip(head, body)
            self._finished = True
            return self._inspector.extracted(head, body)

    async def _message(self) -> tuple[FromChild, bytearray]:
        """What the child says next, after what it waits for if anything."""
        channel = self._living.channel
        try:
            async with self._clock.running():
                # Sockets that are always ready would keep everything else, and the clock, waiting.
                await asyncio.sleep(0)
                if self._unsaid is not None:
                    await channel.send(*self._unsaid)
                    self._unsaid = None
                with self._checked():
                    encoded, claimed = await channel.head()
                    head = from_child(encoded)
                    return head, await channel.body(self._inspector.size(head, claimed))
        except TimeoutError:
            raise TooSlow(
                f"reading the video took longer than {self._job.seconds:g} seconds"
            ) from None
        except (OSError, EOFError):
            raise await self._cause_of_end() from None

    @contextmanager
    def _checked(self) -> Iterator[None]:
        try:
            yield
        except Broken:
            # It obeys somebody else, who now knows the addresses that all its kin share.
            _log.warning("worker distrusted")
            self._living.nurse.distrust()
            raise _lost() from None

    async def _cause_of_end(self) -> ServiceError:
        child = self._living
        await asyncio.wait([child.end], timeout=_END_SECONDS)
        code = child.end.result() if child.end.done() else None
        if child.greedy:
            return OverLimits("of all videos read now, which take too much memory, it took most")
        if code == -signal.SIGXCPU:
            return TooSlow("reading the video took more processor time than is allowed")
        if code == -signal.SIGPROF:
            return OverLimits("opening the video takes more processor time than is allowed")
        if code == OUT_OF_MEMORY:
            return OverLimits("reading the video takes more memory than is allowed")
        # Null: nobody knows. Minus a signal, or see ``service.sandbox.commands``.
        _log.warning("worker lost", extra={"fields": {"exit": code}})
        return _lost()

    @property
    def _living(self) -> Child:
        if self._child is None:
            raise RuntimeError("an extraction is used as a context")
        return self._child


class _Clock:
    """Counts seconds while it runs and is not paused, and raises ``TimeoutError`` in who runs it
    when there have been too many."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._spent = 0.0
        self._since: float | None = None
        self._paused = False
        self._alarm: asyncio.Timeout | None = None

    @property
    def spent(self) -> float:
        return self._spent + (0.0 if self._since is None else time.monotonic() - self._since)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with asyncio.timeout(None) as self._alarm:
            self._turn()
            try:
                yield
            finally:
                self._alarm = None
                self._turn()

    def pause(self) -> None:
        self._paused = True
        self._turn()

    def resume(self) -> None:
        self._paused = False
        self._turn()

    def _turn(self) -> None:
        self._spent, self._since = self.spent, None
        if self._alarm is None or self._alarm.expired():
            return
        if self._paused:
            self._alarm.reschedule(None)
        else:
            self._since = time.monotonic()
            left = self._seconds - self._spent
            self._alarm.reschedule(asyncio.get_running_loop().time() + left)


def _lost() -> WorkerLost:
    return WorkerLost("the process that read the video ended unexpectedly")
