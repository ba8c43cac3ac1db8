"""Who gives the reports that an evaluation is of: an engine of this process, or a server."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager, aclosing, nullcontext
from dataclasses import replace
from pathlib import Path

from service.engine import DetectionOptions, Engine, Finished
from service.evaluation.manifest import Item
from service.report import Report
from service.sources.file import read_file
from service.sources.remote import Fetcher
from service.sources.source import Memory, Source


class EngineScorer:
    """Scores with an engine of this process. ``folder`` is where relative paths start."""

    def __init__(
        self,
        engine: Engine,
        fetcher: Fetcher,
        options: DetectionOptions,
        folder: Path,
        largest: int,
    ) -> None:
        self._engine, self._fetcher = engine, fetcher
        self._options = replace(options, detail="clips")
        self._folder, self._largest = folder, largest

    async def report(self, item: Item) -> Report:
        """See ``Scorer``."""
        async with await self._opened(item) as media:
            return await report_of(self._engine, media, self._options)

    async def wait(self, seconds: float) -> None:
        """See ``Scorer``."""
        await asyncio.sleep(seconds)

    async def _opened(self, item: Item) -> AbstractAsyncContextManager[Source]:
        if item.url:
            return self._fetcher.open(self._fetcher.checked(item.url))
        data = await asyncio.to_thread(read_file, self._folder / item.path, self._largest)
        return nullcontext(Memory(data))


async def report_of(engine: Engine, media: Source, options: DetectionOptions) -> Report:
    """The report alone. Raises ``ServiceError``."""
    report: Report | None = None
    async with aclosing(engine.detect(media, options)) as events:
        async for event in events:
            if isinstance(event, Finished):
                report = event.report
    if report is None:
        raise RuntimeError("the engine ended without a report")
    return report
