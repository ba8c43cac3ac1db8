"""One detection from start to end: extraction and classification in turn, events on the way."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from typing import Protocol, TypeVar

from service import scoring
from service.assembly import Assembler, Findings
from service.classifier.classifier import ClipScores
from service.clips import Clip
from service.engine import Event, Finished, Media, Progress, SegmentScored
from service.errors import NotReady, TooSlow
from service.extraction import Extracted, Position
from service.report import Timing
from service.scoring import ScoredClip
from service.video.deadline import Deadline

_Result = TypeVar("_Result")


_TELL_SECONDS = 0.5
"""Extraction comes back this often, so that progress is told even where faces are few."""


class InThread(Protocol):
    """Runs a blocking call off the event loop. When the caller is cancelled, ``abandon`` is
    called to hurry the call up, and its end is waited for."""

    async def __call__(
        self, call: Callable[[], _Result], abandon: Callable[[], None] | None = None
    ) -> _Result: ...


class Run:
    """The state of one detection."""

    def __init__(
        self,
        extraction: Iterator[Position | Clip | Extracted],
        *,
        assembler: Assembler,
        score: Callable[[Sequence[Clip]], Awaitable[ClipScores]],
        in_thread: InThread,
        batch: int,
        deadline: Deadline,
        total_seconds: float,
    ) -> None:
        self._extraction, self._assembler = extraction, assembler
        self._score, self._in_thread = score, in_thread
        self._batch, self._deadline = batch, deadline
        self._total_seconds = total_seconds
        self._findings = Findings()
        self._position = Position(0.0, 0.0)
        self._told: dict[int, int] = {}
        """Per track, how many of its clips are in segments already told of."""

    async def events(self, media: Media, queued: float) -> AsyncIterator[Event]:
        """Everything that happens, ending with ``Finished``; ``queued`` in seconds."""
        began = time.monotonic()
        extracted: Extracted | None = None
        classify = 0.0
        while extracted is None:
            if time.monotonic() - began > self._total_seconds:
                raise TooSlow(f"the work took longer than {self._total_seconds:g} seconds")
            clips, extracted = await self._in_thread(self._gather, self._abandon)
            if clips:
                since = time.monotonic()
                self._findings.add(clips, await self._score(clips))
                classify += time.monotonic() - since
            yield Progress(self._position.time, self._position.duration, self._findings.count)
            for event in self._complete_segments(last=extracted is not None):
                yield event
        timing = Timing(
            queued=queued,
            extract=self._deadline.spent,
            classify=classify,
            total=queued + time.monotonic() - began,
        )
        yield Finished(self._assembler.report(media, extracted, self._findings, timing))

    async def close(self) -> None:
        """Let the extraction release what it holds."""
        close = getattr(self._extraction, "close", None)
        if close is not None:
            await self._in_thread(close)

    def _abandon(self) -> None:
        self._deadline.cancel(NotReady("the work was cancelled"))

    def _gather(self) -> tuple[list[Clip], Extracted | None]:
        """Extract until a batch is full, it is time to tell something, or the end; blocking."""
        clips: list[Clip] = []
        began = time.monotonic()
        self._deadline.resume()
        try:
            for item in self._extraction:
                if isinstance(item, Extracted):
                    return clips, item
                if isinstance(item, Position):
                    self._position = item
                    if time.monotonic() - began > _TELL_SECONDS:
                        return clips, None
                else:
                    clips.append(item)
                    if len(clips) >= self._batch:
                        return clips, None
        finally:
            self._deadline.pause()
        raise RuntimeError("extraction ended without its last word")

    def _complete_segments(self, *, last: bool) -> Iterator[SegmentScored]:
        for track, clips in self._findings.clips.items():
            groups: list[list[ScoredClip]] = scoring.segments(clips[self._told.get(track, 0) :])
            for group in groups if last else groups[:-1]:
                self._told[track] = self._told.get(track, 0) + len(group)
                segment = self._assembler.segment(track, group, self._findings)
                yield SegmentScored(track, segment)
