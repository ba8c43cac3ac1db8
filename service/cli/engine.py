"""An engine of this process, for as long as a command needs it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from service.cli.console import errors
from service.engine import DetectionOptions, Engine, Event, Finished
from service.progress import progress_bar
from service.report import Report
from service.settings import Settings
from service.sources.source import Source

if TYPE_CHECKING:
    from service.local_engine import LocalEngine


@asynccontextmanager
async def started_engine(settings: Settings) -> AsyncIterator[LocalEngine]:
    """A started engine, stopped at the end. What keeps it from scoring, `report_on` raises."""
    from service.local_engine import LocalEngine

    engine = LocalEngine(settings)
    await engine.start()
    try:
        yield engine
    finally:
        await engine.stop()


async def report_on(media: Source, engine: Engine, options: DetectionOptions) -> Report:
    """What ``engine`` found in one video, with a bar on standard error until it is known.

    Raises:
        ServiceError: there is no report, and why.
    """
    with progress_bar(errors) as show:
        event: Event | None = None
        async for event in engine.detect(media, options):
            show(event)
    if not isinstance(event, Finished):
        raise RuntimeError("the engine ended without a report")
    return event.report
