"""An engine without video, model or detector, for tests of what HTTP alone decides."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Sequence

from service.api.examples import REPORT
from service.engine import (
    DetectionOptions,
    Event,
    Finished,
    Progress,
    Readiness,
    SegmentScored,
)
from service.errors import NotReady
from service.report import Report
from service.sources.source import Source

EXAMPLE = Report.model_validate(REPORT)
SEGMENT = SegmentScored(1, EXAMPLE.faces[0].segments[0])


class FakeEngine:
    """Tells ``told``, waits until the gate, if any, is open, tells ``then``, and answers with the
    example report of the bytes it was given, or fails as told."""

    def __init__(
        self,
        *,
        error: Exception | None = None,
        readiness: Readiness | None = None,
        told: Sequence[Event] = (Progress(0.0, 1.0, 0),),
        gate: threading.Event | None = None,
        then: Sequence[Event] = (),
        reload_error: Exception | None = None,
    ) -> None:
        self.error, self.reload_error = error, reload_error
        self.state = readiness or Readiness(ready=True)
        self.told, self.gate, self.then = told, gate, then
        self.asked: list[tuple[Source, DetectionOptions]] = []
        self.events: list[str] = []

    async def start(self) -> None:
        self.events.append("start")

    async def stop(self) -> None:
        self.events.append("stop")

    async def reload(self) -> None:
        self.events.append("reload")
        if self.reload_error is not None:
            raise self.reload_error

    def readiness(self) -> Readiness:
        return self.state

    async def detect(self, media: Source, options: DetectionOptions) -> AsyncGenerator[Event, None]:
        self.asked.append((media, options))
        try:
            for event in self.told:
                yield event
            if self.gate is not None:
                await self._pass(self.gate)
            for event in self.then:
                yield event
        except asyncio.CancelledError:
            self.events.append("cancelled")
            raise
        if self.error is not None:
            raise self.error
        received = {"sha256": media.sha256, "bytes": media.size}
        media_info = EXAMPLE.media.model_copy(update=received)
        yield Finished(EXAMPLE.model_copy(update={"media": media_info}))

    async def _pass(self, gate: threading.Event) -> None:
        while not gate.is_set():
            if "stop" in self.events:
                raise NotReady("stopping")
            await asyncio.sleep(0.005)
