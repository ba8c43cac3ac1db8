"""One detection from start to end: extraction feeds the networks, events come back on the way."""

from __future__ import annotations

import asyncio
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
from service.engine import Event, Finished, Media, Progress, SegmentScored
from service.errors import ServiceError, TooSlow
from service.extraction import Extracted, Position
from service.findings import Findings
from service.registry import Panel
from service.report import Timing
from service.scoring import ScoredClip


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
    loaded. ``expires`` (``time.monotonic``) ends it with ``TooSlow``."""

    def __init__(
        self, panel: Panel, assembler: Assembler, *, explain: bool, expires: float
    ) -> None:
        self._panel, self._assembler = panel, assembler
        self._explain, self._expires = explain, expires
        self._lanes = [self._lane(member) for member in range(len(panel.members))]
        self._open = ExitStack()
        self._findings = Findings(panel)
        self._news: asyncio.Queue[Position | Extracted | _Delivery | BaseException]
        self._news = asyncio.Queue()
        """Small things alone: clips wait in the lanes, which are bounded."""
        self._outstanding = 0
        """Clips on their way to a member, counted once for each."""
        self._told: dict[int, int] = {}
        """Per track, how many of its clips are in segments already told of."""

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
        self._open.close()

    async def events(
        self, extraction: Extraction, media: Media, queued: float
    ) -> AsyncIterator[Event]:
        """Everything that happens, ending with ``Finished``; ``queued`` in seconds. Raises
        ``ServiceError``."""
        began = time.monotonic()
        position, extracted = Position(0.0, 0.0), None
        feeder = asyncio.create_task(self._feed(extraction))
        try:
            while extracted is None or self._outstanding:
                news = await self._next()
                if isinstance(news, Position):
                    position = news
                elif isinstance(news, Extracted):
                    extracted = news
                else:
                    self._outstanding -= len(news.scored)
                    self._findings.add(news.member, news.scored)
                yield Progress(position.time, position.duration, self._findings.count)
                for event in self._complete_segments(last=False):
                    yield event
        finally:
            feeder.cancel()
            await asyncio.gather(feeder, return_exceptions=True)
        for event in self._complete_segments(last=True):
            yield event
        timing = Timing(
            queued=queued,
            extract=extraction.spent,
            classify=self._findings.seconds,
            total=queued + time.monotonic() - began,
        )
        yield Finished(self._assembler.report(media, extracted, self._findings, timing))

    def abort(self, error: ServiceError) -> None:
        """End the detection with this error."""
        self._news.put_nowait(error)

    def _lane(self, member: int) -> Lane:
        return self._panel.members[member].batcher.lane(
            partial(self._deliver, member), cam=self._explain, expires=self._expires
        )

    def _deliver(self, member: int, scored: Sequence[Scored] | ServiceError) -> None:
        if isinstance(scored, ServiceError):
            self.abort(scored)
        else:
            self._news.put_nowait(_Delivery(member, scored))

    async def _next(self) -> Position | Extracted | _Delivery:
        try:
            async with asyncio.timeout(self._expires - time.monotonic()):
                news = await self._news.get()
        except TimeoutError:
            raise TooSlow("the work took longer than it may") from None
        if isinstance(news, BaseException):
            raise news
        return news

    async def _feed(self, extraction: Extraction) -> None:
        """Pass the clips on, and news of everything else."""
        wanted = [self._panel.members_of(spec) for spec in range(len(self._panel.specs))]
        try:
            async for item in extraction:
                if not isinstance(item, Clip):
                    self._news.put_nowait(item)
                    continue
                self._outstanding += len(wanted[item.spec])
                for member in wanted[item.spec]:
                    await self._lanes[member].submit(item)
        except Exception as error:
            self._news.put_nowait(error)

    def _complete_segments(self, *, last: bool) -> Iterator[SegmentScored]:
        for track, clips in self._findings.clips.items():
            groups: list[list[ScoredClip]] = scoring.segments(clips[self._told.get(track, 0) :])
            for group in groups if last else groups[:-1]:
                self._told[track] = self._told.get(track, 0) + len(group)
                segment = self._assembler.segment(track, group, self._findings)
                yield SegmentScored(track, segment)
