"""The engine that does the work in this process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np

from service.assembly import Assembler
from service.classifier.classifier import Classifier, ClipScores, load_classifier
from service.clips import Clip, ClipSpec
from service.engine import DetectionOptions, Event, Media, Readiness, ServedModel
from service.errors import ModelError, NotReady
from service.extraction import ExtractionLimits, extract
from service.faces.detector import FaceDetector
from service.faces.factory import load_detector
from service.faces.tracking import TrackerSettings
from service.run import Run
from service.settings import Settings
from service.video.deadline import Deadline
from service.video.video import VideoLimits

BUILT_IN_MODEL = Path(__file__).parent / "models" / "clrnet-demo.onnx"

_Result = TypeVar("_Result")


def _stopping() -> NotReady:
    return NotReady("stopping", retry_after=5)


def _served(classifier: Classifier) -> ServedModel:
    return ServedModel(classifier.contract, classifier.sha256, classifier.provider)


class LocalEngine:
    """Decodes in threads and scores on one ONNX Runtime session."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._classifier: Classifier | None = None
        self._detector: FaceDetector | None = None
        self._missing: tuple[str, ...] = ("still starting",)
        self._slots = asyncio.Semaphore(settings.limits.concurrency)
        self._device = asyncio.Lock()
        self._threads = ThreadPoolExecutor(settings.limits.concurrency + 1, "engine")
        self._running = self._waiting = 0
        self._idle = asyncio.Condition()
        self._deadlines: set[Deadline] = set()

    async def start(self) -> None:
        """Load model and detector; what cannot be loaded is named by ``readiness``."""
        missing: list[str] = []
        try:
            self._classifier = await self._in_thread(self._load_classifier)
        except ModelError as error:
            missing.append(str(error))
        try:
            self._detector = await self._in_thread(self._load_detector)
        except ModelError as error:
            missing.append(str(error))
        self._missing = tuple(missing)

    async def stop(self) -> None:
        """Cancel what runs and release the threads."""
        self._missing = ("stopping",)
        for deadline in self._deadlines:
            deadline.cancel(_stopping())
        async with self._idle:
            await self._idle.wait_for(lambda: not self._running)
        await asyncio.to_thread(self._threads.shutdown)

    async def drain(self) -> None:
        """Wait until nothing runs."""
        async with self._idle:
            await self._idle.wait_for(lambda: not self._running)

    async def reload(self) -> None:
        """Load the model anew."""
        self._classifier = await self._in_thread(self._load_classifier)

    def readiness(self) -> Readiness:
        """Whether scoring is possible."""
        classifier = self._classifier
        return Readiness(
            ready=not self._missing,
            missing=self._missing,
            models=(_served(classifier),) if classifier else (),
            default=classifier.contract.name if classifier else None,
            running=self._running,
            waiting=self._waiting,
        )

    async def detect(self, media: Media, options: DetectionOptions) -> AsyncIterator[Event]:
        """Score one video; see ``Engine.detect``."""
        if self._missing or self._classifier is None or self._detector is None:
            raise NotReady("; ".join(self._missing), retry_after=5)
        asked = time.monotonic()
        async with self._slot():
            if self._missing:
                raise _stopping()
            queued = time.monotonic() - asked
            deadline = Deadline(self._settings.limits.decode_seconds)
            self._deadlines.add(deadline)
            run = Run(
                extract(
                    media.data,
                    (ClipSpec.of(self._classifier.contract),),
                    options.sampling,
                    start=options.start,
                    end=options.end,
                    boxes=options.detail == "full",
                    detector=self._detector,
                    tracking=self._tracking(),
                    limits=self._limits(),
                    deadline=deadline,
                ),
                assembler=Assembler(self._classifier, self._detector.name, options),
                score=partial(self._score, self._classifier, options.explain),
                in_thread=self._in_thread,
                batch=self._settings.model.batch,
                deadline=deadline,
                total_seconds=self._settings.limits.total_seconds,
            )
            try:
                async for event in run.events(media, queued):
                    yield event
            finally:
                await run.close()
                self._deadlines.discard(deadline)

    async def _score(self, classifier: Classifier, cam: bool, clips: Sequence[Clip]) -> ClipScores:
        pixels = np.stack([clip.pixels for clip in clips])
        async with self._device:
            return await self._in_thread(lambda: classifier.score(pixels, cam=cam))

    @asynccontextmanager
    async def _slot(self) -> AsyncIterator[None]:
        self._waiting += 1
        try:
            await self._slots.acquire()
        finally:
            self._waiting -= 1
        self._running += 1
        try:
            yield
        finally:
            self._running -= 1
            self._slots.release()
            async with self._idle:
                self._idle.notify_all()

    async def _in_thread(
        self, call: Callable[[], _Result], abandon: Callable[[], None] | None = None
    ) -> _Result:
        """See ``InThread``. A thread cannot be stopped, and must not go on behind the caller's
        back, however often the caller is cancelled."""
        future = asyncio.get_running_loop().run_in_executor(self._threads, call)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            if abandon is not None:
                abandon()
            while not future.done():
                with suppress(asyncio.CancelledError):
                    await asyncio.wait([future])
            if not future.cancelled():
                future.exception()  # Retrieved, or asyncio would complain that nobody did.
            raise

    def _limits(self) -> ExtractionLimits:
        limits, sampling = self._settings.limits, self._settings.sampling
        return ExtractionLimits(
            video=VideoLimits(limits.duration, limits.frames, limits.pixels, limits.streams),
            full_seconds=sampling.full_seconds,
            auto_windows=sampling.auto_clips,
            clips=limits.clips,
        )

    def _tracking(self) -> TrackerSettings:
        limits = self._settings.limits
        return TrackerSettings(smallest_face=limits.smallest_face, most_faces=limits.faces)

    def _load_classifier(self) -> Classifier:
        model = self._settings.model
        return load_classifier(
            model.path or BUILT_IN_MODEL, device=model.device, threads=model.threads
        )

    def _load_detector(self) -> FaceDetector:
        faces = self._settings.faces
        return load_detector(faces.detector, faces.path)
