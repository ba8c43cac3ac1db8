"""One detection from start to end: extraction feeds the networks, events come back on the way."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Protocol

from service import scoring
from service.assembly import Assembler
from service.batching.batcher import Lane, Scored
from service.clips import Clip
from service.engine import Event, Finished, Progress, SegmentScored
from service.errors import ServiceError, TooSlow
from service.extraction import Extracted, Position
from service.findings import Findings
from service.registry import Panel
from service.report import Timing
from service.scoring import ScoredClip
from service.sources.source import Source
from service.tracing import Stage


class Extraction(Protocol):
    """What a video gives while it is read: positions, clips and at the end ``Extracted``."""

    @property
    def spent(self) -> float:
        """Seconds of work on it so far."""
        ...

    def __aiter__(self) -> AsyncIterator[Position | Clip | Extracted]: ...


@dataclass(frozen=True, slots=True)
class _Delivery:
    """Scores by one member."""

    member: int
    scored: Sequence[Scored]


class Run:
    """One detection; a context manager that holds the panel's lanes, which keep its networks
    loaded. After ``seconds``, those not counted in which it was halted, it ends with ``TooSlow``.
    """

    def __init__(
        self, panel: Panel, assembler: Assembler, *, explain: bool, seconds: float
    ) -> None:
        self._panel, self._assembler = panel, assembler
        self._explain, self._seconds = explain, seconds
        self._began = time.monotonic()
        self._halted = self._held_back = 0.0
        self._halted_since: float | None = None
        self._open = ExitStack()
        self._scoring: Stage | None = None
        """From the first clip on."""
        self.read = False
        """Whether all of the video has been read."""
        self._findings = Findings(panel)
        self._lanes = [self._lane(member) for member in range(len(panel.members))]
        self._news: asyncio.Queue[Position | Extracted | _Delivery | BaseException]
        self._news = asyncio.Queue()
        """Small things alone: clips wait in the lanes, which are bounded."""
        self._position = self._seen = Position(0.0, 0.0)
        """The newest, and the last that was told."""
        self._outstanding = 0
        """Clips on their way to a member, counted once for each."""
        self._told: dict[int, int] = {}
        """Per track, how many of its clips are in segments already told of."""
        self._untold: dict[int, int] = {}
        """Of each track with clips in no segment yet, its last frame."""
        self._front = 0
        """First frame of the latest window."""

    def __enter__(self) -> Run:
        for lane in self._lanes:
            self._open.enter_context(lane)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._open.__exit__(kind, error, trace)

    async def events(
        self, extraction: Extraction, media: Source, queued: float
    ) -> AsyncIterator[Event]:
        """Everything that happens, ending with ``Finished``; ``queued`` in seconds. Raises
        ``ServiceError``."""
        extracted = None
        reading = self._open.enter_context(Stage("extract"))
        feeder = asyncio.create_task(self._feed(extraction))
        try:
            while extracted is None or self._outstanding:
                news = await self._next()
                position = self._seen = self._position
                if isinstance(news, Extracted):
                    extracted = news
                    self.read = True
                    reading.end(seconds=extraction.spent, fetch_seconds=media.waited)
                elif isinstance(news, _Delivery):
                    self._outstanding -= len(news.scored)
                    self._advance(self._findings.add(news.member, news.scored))
                # A queue that is never empty would keep everybody else from this thread.
                await asyncio.sleep(0)
                yield Progress(position.time, position.duration, self._findings.count)
                for event in self._complete_segments():
                    yield event
        finally:
            feeder.cancel()
            await asyncio.gather(feeder, return_exceptions=True)
        if self._scoring is not None:
            self._scoring.end(seconds=self._findings.seconds, clips=self._findings.count)
        self._front = sys.maxsize
        for event in self._complete_segments():
            yield event
        timing = Timing(
            fetch=media.waited,
            queued=queued,
            extract=extraction.spent,
            classify=self._findings.seconds,
            halted=self._halted,
            held_back=self._held_back,
            total=queued + time.monotonic() - self._began,
        )
        # Hours of video make many objects, and other requests wait for this thread.
        with Stage("report"):
            report = await asyncio.to_thread(
                self._assembler.report, media, extracted, self._findings, timing
            )
        yield Finished(report)

    @property
    def frames(self) -> int:
        """Frames that are looked at in all; 0 as long as nobody knows."""
        return self._position.frames

    def halt(self) -> None:
        """Say that the video has to wait for others from now on."""
        self._halted_since = time.monotonic()

    def go_on(self) -> None:
        """Say that it does not any more."""
        if self._halted_since is not None:
            self._halted += time.monotonic() - self._halted_since
            self._halted_since = None

    def abort(self, error: ServiceError) -> None:
        """End the detection with this error."""
        self._news.put_nowait(error)

    def _lane(self, member: int) -> Lane:
        return self._panel.members[member].batcher.lane(
            partial(self._deliver, member),
            cam=self._explain and member == self._findings.mapper,
            expired=lambda: self._left < 0,
        )

    def _deliver(self, member: int, scored: Sequence[Scored] | ServiceError) -> None:
        if isinstance(scored, ServiceError):
            self.abort(scored)
        else:
            self._news.put_nowait(_Delivery(member, scored))

    @property
    def _left(self) -> float:
        """Seconds until it has taken too long."""
        if self._halted_since is not None:
            return self._seconds
        return self._began + self._halted + self._seconds - time.monotonic()

    async def _next(self) -> Position | Extracted | _Delivery:
        while True:
            try:
                async with asyncio.timeout(max(0.0, self._left)):
                    news = await self._news.get()
                break
            except TimeoutError:
                # It may have been halted meanwhile.
                if self._left <= 0:
                    raise TooSlow("the work took longer than it may") from None
        if isinstance(news, BaseException):
            raise news
        return news

    async def _feed(self, extraction: Extraction) -> None:
        """Pass the clips on, and news of everything else."""
        wanted = [self._panel.members_of(spec) for spec in range(len(self._panel.specs))]
        try:
            async for item in extraction:
                if isinstance(item, Position):
                    self._move(item)
                    continue
                if isinstance(item, Extracted):
                    self._news.put_nowait(item)
                    continue
                self._scoring = self._scoring or self._open.enter_context(Stage("classify"))
                self._outstanding += len(wanted[item.spec])
                since = time.monotonic()
                for member in wanted[item.spec]:
                    await self._lanes[member].submit(item)
                self._held_back += time.monotonic() - since
        except Exception as error:
            self._news.put_nowait(error)

    def _move(self, position: Position) -> None:
        """Only the newest is news."""
        if self._position is self._seen:
            self._news.put_nowait(position)
        self._position = position

    def _advance(self, tracks: set[int]) -> None:
        """Take note of tracks with new windows."""
        for track in tracks:
            last = self._findings.clips[track][-1]
            self._untold[track] = last.last_frame
            self._front = max(self._front, last.first_frame)

    def _complete_segments(self) -> Iterator[SegmentScored]:
        """Segments that nothing can be added to: another has begun after them, or the windows of
        other faces have gone past them."""
        for track, last_frame in list(self._untold.items()):
            told = self._told.get(track, 0)
            groups: list[list[ScoredClip]] = scoring.segments(self._findings.clips[track][told:])
            over = last_frame + 1 < self._front
            for group in groups if over else groups[:-1]:
                self._told[track] = self._told.get(track, 0) + len(group)
                yield SegmentScored(track, self._assembler.segment(track, group, self._findings))
            if over:
                del self._untold[track]
