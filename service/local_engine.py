"""The engine that does the work on this machine: videos are read in confined processes and scored
by the networks of this one, or by such elsewhere that it is lent."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

from service.assembly import Assembler
from service.clips import ClipSpec
from service.engine import DetectionOptions, Event, Readiness
from service.errors import ModelError, NotReady
from service.extraction import ExtractionLimits
from service.faces.tracking import TrackerSettings
from service.registry import Load, Registry
from service.run import Run
from service.sandbox.extraction import Extraction
from service.sandbox.job import Job
from service.sandbox.ration import available
from service.sandbox.workers import Workers
from service.settings import Settings
from service.slots import Place, Slots
from service.sources.source import Source
from service.tracing import Stage
from service.video.video import VideoLimits

_CPU_MARGIN = 2.0
"""Processor seconds a process may take over the seconds of work: the kernel's limit is only there
for the case that this process cannot end it."""


_log = logging.getLogger("service.engine")


class LocalEngine:
    """``observe`` is told model, version and size of every batch; ``load`` lends networks."""

    def __init__(
        self,
        settings: Settings,
        observe: Callable[[str, str, int], None] = lambda model, version, size: None,
        load: Load | None = None,
    ) -> None:
        self._settings = settings
        limits = settings.limits
        self._registry = Registry(
            settings.model,
            limits.clip_bytes,
            lambda served, size: observe(served.contract.name, served.contract.version, size),
            load,
        )
        self._workers = Workers(
            detector=settings.faces.detector,
            detector_path=settings.faces.path,
            memory=limits.memory,
            together=int(limits.memory_share * available()),
            cpu_seconds=_CPU_MARGIN * limits.decode_seconds,
        )
        self._slots = Slots(limits.concurrency, limits.short_seconds, limits.short_frames)
        self._missing: dict[Callable[[], Awaitable[None]] | None, str] = {None: "still starting"}
        """What keeps it from scoring, by what would load it; None for what nothing can load."""
        self._running = self._waiting = 0
        self._idle = asyncio.Condition()
        self._runs: set[Run] = set()

    async def start(self) -> None:
        """Load models and detector; what cannot be loaded is named by ``readiness``."""
        missing: dict[Callable[[], Awaitable[None]] | None, str] = {}
        for load in (self._registry.load, self._workers.start):
            try:
                await load()
            except ModelError as error:
                missing[load] = str(error)
            except Exception as error:
                _log.error("loading failed", exc_info=error)
                missing[load] = "models or detector cannot be loaded; the log says more"
        self._missing = missing

    async def stop(self) -> None:
        """Cancel what runs, end all processes and threads."""
        self._missing = {None: "stopping"}
        for run in self._runs:
            run.abort(_stopping())
        await self._wait_until_idle()
        await self._workers.stop()
        await self._registry.close()

    async def reload(self) -> None:
        """Load the models anew, and the detector where it is missing; see ``Engine.reload``."""
        for load in {self._registry.load: None, **self._missing}:
            if load is not None:
                await load()
                self._missing.pop(load, None)

    def readiness(self) -> Readiness:
        """Whether scoring is possible."""
        lacking = self._lacking()
        return Readiness(
            ready=not lacking,
            missing=lacking,
            models=tuple(each.served for each in self._registry.models()),
            ensembles=self._registry.ensembles(),
            default=self._registry.default,
            running=self._running,
            waiting=self._waiting,
            clips_waiting=self._registry.pending,
            workers=self._workers.alive,
            worker_restarts=self._workers.restarts,
            confinement=self._workers.layers,
        )

    async def detect(self, media: Source, options: DetectionOptions) -> AsyncGenerator[Event, None]:
        """Score one video; see ``Engine.detect``."""
        if lacking := self._lacking():
            raise NotReady("; ".join(lacking), retry_after=5)
        self._registry.panel(options.model)
        asked = time.monotonic()
        async with self._place() as place:
            if self._missing:
                raise _stopping()
            # Looked up anew, since it may have been replaced; its lanes open before anything else
            # can happen.
            panel, queued = self._registry.panel(options.model), time.monotonic() - asked
            run = Run(
                panel,
                Assembler(panel, self._workers.detector, options),
                explain=options.explain,
                seconds=self._settings.limits.total_seconds,
            )
            with self._known(run):
                job = self._job(panel.specs, options)
                async with self._workers.extract(media, job) as extraction:
                    place.occupy(_Reading(run, extraction))
                    async for event in run.events(extraction, media, queued):
                        place.expect(run.frames)
                        if run.read:
                            place.vacate()
                            run.go_on()
                        yield event

    def _lacking(self) -> tuple[str, ...]:
        """What keeps it from scoring now."""
        return tuple(filter(None, [*self._missing.values(), self._workers.missing]))

    @contextmanager
    def _known(self, run: Run) -> Iterator[None]:
        """Open the run's lanes, and let ``stop`` end it."""
        self._runs.add(run)
        try:
            with run:
                yield
        finally:
            self._runs.discard(run)

    @asynccontextmanager
    async def _place(self) -> AsyncIterator[Place]:
        self._waiting += 1
        waiting, queued = True, Stage("queued")
        try:
            async with self._slots.place() as place:
                queued.end()
                self._waiting -= 1
                waiting = False
                self._running += 1
                try:
                    yield place
                finally:
                    self._running -= 1
        finally:
            queued.end()
            self._waiting -= waiting
            async with self._idle:
                self._idle.notify_all()

    async def _wait_until_idle(self) -> None:
        async with self._idle:
            await self._idle.wait_for(lambda: not self._running and not self._waiting)

    def _job(self, specs: tuple[ClipSpec, ...], options: DetectionOptions) -> Job:
        limits, sampling = self._settings.limits, self._settings.sampling
        return Job(
            specs=specs,
            sampling=options.sampling,
            start=options.start,
            end=options.end,
            boxes=options.detail == "full",
            seconds=limits.decode_seconds,
            limits=ExtractionLimits(
                video=VideoLimits(limits.duration, limits.frames, limits.pixels, limits.streams),
                full_seconds=sampling.full_seconds,
                auto_windows=sampling.auto_clips,
                clips=limits.clips,
            ),
            tracking=TrackerSettings(
                smallest_face=limits.smallest_face,
                most_faces=min(options.faces or limits.faces, limits.faces),
            ),
        )


class _Reading:
    """What is halted when a place is needed: the process, and the clock of the request."""

    def __init__(self, run: Run, extraction: Extraction) -> None:
        self._run, self._extraction = run, extraction

    def pause(self) -> None:
        self._run.halt()
        self._extraction.pause()

    def resume(self) -> None:
        self._run.go_on()
        self._extraction.resume()

    def make_way(self) -> None:
        self._extraction.make_way()


def _stopping() -> NotReady:
    return NotReady("stopping", retry_after=5)
