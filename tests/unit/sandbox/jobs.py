"""Jobs for tests, and how to do them."""

from __future__ import annotations

from dataclasses import replace

from service.clips import Clip, ClipSpec
from service.extraction import Extracted, ExtractionLimits, Position
from service.sandbox.job import Job
from service.sandbox.workers import Workers
from service.sources.source import Memory, Source

SPEC = ClipSpec(5, 48, 48, 1.3, "clip")
JOB = Job((SPEC,), "full", ExtractionLimits(), boxes=True, seconds=60.0)
MEMORY = 3 * 2**29


async def done(
    workers: Workers, media: bytes | Source, job: Job = JOB, **changes: object
) -> tuple[list[Clip], Extracted, list[Position]]:
    """Everything that an extraction gives."""
    source = Memory(media) if isinstance(media, bytes) else media
    clips, positions = [], []
    async with workers.extract(source, replace(job, **changes)) as extraction:  # type: ignore[arg-type]
        async for item in extraction:
            if isinstance(item, Clip):
                clips.append(item)
            elif isinstance(item, Position):
                positions.append(item)
            else:
                last = item
    return clips, last, positions
