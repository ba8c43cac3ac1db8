"""An engine without video, model or detector, for tests of what HTTP alone decides."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator

from service.api.examples import REPORT
from service.engine import DetectionOptions, Event, Finished, Media, Progress, Readiness
from service.report import Report


class FakeEngine:
    """Answers with the example report of the bytes it was given, or fails as told."""

    def __init__(
        self,
        *,
        error: Exception | None = None,
        readiness: Readiness | None = None,
        seconds: float = 0.0,
    ) -> None:
        self.error = error
        self.state = readiness or Readiness(ready=True)
        self.seconds = seconds
        self.asked: list[tuple[Media, DetectionOptions]] = []
        self.events: list[str] = []

    async def start(self) -> None:
        self.events.append("start")

    async def stop(self) -> None:
        self.events.append("stop")

    async def drain(self) -> None:
        self.events.append("drain")

    async def reload(self) -> None:
        self.events.append("reload")

    def readiness(self) -> Readiness:
        return self.state

    async def detect(self, media: Media, options: DetectionOptions) -> AsyncIterator[Event]:
        self.asked.append((media, options))
        yield Progress(0.0, 1.0, 0)
        try:
            await asyncio.sleep(self.seconds)
        except asyncio.CancelledError:
            self.events.append("cancelled")
            raise
        if self.error is not None:
            raise self.error
        example = Report.model_validate(REPORT)
        received = {"sha256": hashlib.sha256(media.data).hexdigest(), "bytes": len(media.data)}
        media_info = example.media.model_copy(update=received)
        yield Finished(example.model_copy(update={"media": media_info}))
