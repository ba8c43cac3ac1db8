"""Whether a video is read while its clips are scored: a whole detection against its halves."""

from __future__ import annotations

import asyncio
import time

import numpy as np

from benchmarks.pairs import Spread, ratios
from benchmarks.report import Section
from service.classifier.classifier import Classifier, load_classifier
from service.clips import Clip, ClipSpec
from service.engine import DetectionOptions, Finished
from service.extraction import ExtractionLimits
from service.local_engine import LocalEngine
from service.registry import BUILT_IN_MODEL, default_batch
from service.sandbox.job import Job
from service.sandbox.workers import Workers
from service.settings import Settings
from service.sources.source import Memory

SAMPLING = "full"
PROMISED = 1.2
"""Of the slower half's wall time."""


def section(video: bytes, rounds: int) -> Section:
    """The table; the ways take turns."""
    found = asyncio.run(_measured(video, rounds))
    table = Section(f"A whole detection against its halves, `{SAMPLING}`", ["what", "wall time, s"])
    table.rows = [[name, Spread.of(times).text()] for name, times in found.items()]
    slower = [max(pair) for pair in zip(found["reading"], found["scoring"], strict=True)]
    share = ratios(found["both"], slower)
    table.remarks.append(f"Both take {share.text()} of the slower half.")
    table.remarks.append(
        f"One after the other they take {ratios(found['in turn'], slower).text()}."
    )
    if share.middle > PROMISED:
        table.broken.append(f"Both were to take {PROMISED} of the slower half at most.")
    return table


async def _measured(video: bytes, rounds: int) -> dict[str, list[float]]:
    settings = Settings()
    limits = settings.limits
    classifier = load_classifier(BUILT_IN_MODEL, device="cpu", threads=settings.model.threads)
    spec, batch = ClipSpec.of(classifier.contract), default_batch(classifier.provider)
    workers = Workers(memory=limits.memory, cpu_seconds=600)
    engine = LocalEngine(settings)
    await workers.start()
    await engine.start()
    found: dict[str, list[float]] = {name: [] for name in ("reading", "scoring", "in turn", "both")}
    try:
        for number in range(rounds + 1):
            began = time.perf_counter()
            clips = await _read(video, workers, spec)
            reading = time.perf_counter() - began
            began = time.perf_counter()
            await asyncio.to_thread(_score, classifier, clips, batch)
            scoring = time.perf_counter() - began
            began = time.perf_counter()
            scored = await _detect(video, engine)
            both = time.perf_counter() - began
            assert scored == len(clips), (scored, len(clips))
            # The first round is for what is done once alone.
            if number:
                for name, seconds in zip(
                    found, (reading, scoring, reading + scoring, both), strict=True
                ):
                    found[name].append(seconds)
    finally:
        await engine.stop()
        await workers.stop()
    return found


async def _read(video: bytes, workers: Workers, spec: ClipSpec) -> list[Clip]:
    job = Job((spec,), SAMPLING, ExtractionLimits(), seconds=600)
    async with workers.extract(Memory(video), job) as extraction:
        return [item async for item in extraction if isinstance(item, Clip)]


def _score(classifier: Classifier, clips: list[Clip], batch: int) -> None:
    for at in range(0, len(clips), batch):
        classifier.score(np.stack([clip.pixels for clip in clips[at : at + batch]]))


async def _detect(video: bytes, engine: LocalEngine) -> int:
    async for event in engine.detect(Memory(video), DetectionOptions(sampling=SAMPLING)):
        if isinstance(event, Finished):
            return event.report.coverage.clips_scored
    raise RuntimeError("the engine ended without a report")
