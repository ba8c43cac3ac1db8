"""What reading videos in processes of their own costs.

    python -m benchmarks.sandbox [--repeats 7] [--detector-path MODEL]

Every figure is the median of repeats in which the ways compared take turns, in milliseconds of wall
time with one video at a time. ``here`` is the same extraction in this process.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.machine import machine
from service.clips import Clip, ClipSpec
from service.errors import ServiceError
from service.extraction import ExtractionLimits, extract
from service.faces.detector import FaceDetector
from service.faces.factory import load_detector
from service.faces.tracking import TrackerSettings
from service.sandbox.job import Job
from service.sandbox.workers import Workers
from service.sources.source import Memory
from service.video.deadline import Deadline
from service.video.encode import encode_video
from tests import media

SPEC = ClipSpec(5, 240, 240, 1.3, "per_frame")
MEMORY = 3 * 2**29

Way = Callable[[], Awaitable[int]]
"""Does something once; gives the clips it made."""


async def timed(repeats: int, *ways: Way) -> list[float]:
    """Median milliseconds of each way."""
    took: list[list[float]] = [[] for _ in ways]
    for way in ways:
        await way()
    for _ in range(repeats):
        for times, way in zip(took, ways, strict=True):
            began = time.perf_counter()
            await way()
            times.append(1000 * (time.perf_counter() - began))
    return [median(times) for times in took]


def here(data: bytes, detector: FaceDetector, sampling: str) -> Way:
    """In this process."""

    async def way() -> int:
        items = extract(
            data,
            (SPEC,),
            sampling,
            detector=detector,
            tracking=TrackerSettings(),
            limits=ExtractionLimits(),
            deadline=Deadline(math.inf),
        )
        return sum(isinstance(item, Clip) for item in items)

    return way


def there(data: bytes, workers: Workers, sampling: str) -> Way:
    """In a process of its own."""

    async def way() -> int:
        made = 0
        job = Job((SPEC,), sampling, ExtractionLimits(), seconds=600)
        try:
            async with workers.extract(Memory(data), job) as extraction:
                async for item in extraction:
                    made += isinstance(item, Clip)
        except ServiceError:
            pass
        return made

    return way


def large_video() -> bytes:
    """Forty megabytes of uncompressed noise, all of which is read and a window of it decoded."""
    noise = np.random.default_rng(0).integers(0, 256, (90, 480, 640, 3), np.uint8)
    return encode_video(noise, codec="rawvideo", container="avi")


async def measure(given: argparse.Namespace) -> Table:
    """All figures."""
    table = Table("what", "ms", "here, ms", "difference")
    began = time.perf_counter()
    workers = Workers(detector_path=given.detector_path, memory=MEMORY, cpu_seconds=600)
    await workers.start()
    table.add_row("start of a nursery", f"{1000 * (time.perf_counter() - began):.0f}", "", "once")
    detector = load_detector("auto", given.detector_path)
    (refused,) = await timed(3 * given.repeats, there(b"x", workers, "full"))
    table.add_row("fork, confine, refuse one byte, end", f"{refused:.1f}", "", "a video")

    large = large_video()
    pulled, read = await timed(
        given.repeats, there(large, workers, "stride=9999"), here(large, detector, "stride=9999")
    )
    each = (pulled - read - refused) / len(large) * 2**20
    table.add_row(
        f"{len(large) >> 20} MB of noise", f"{pulled:.0f}", f"{read:.0f}", f"{each:.2f} a MB"
    )

    faces = media.group_video(50)
    clips = await there(faces, workers, "full")()
    apart, together = await timed(
        given.repeats, there(faces, workers, "full"), here(faces, detector, "full")
    )
    each = (apart - together - refused) / clips
    share = 100 * (apart - together) / together
    table.add_row(
        f"50 frames, {clips} clips",
        f"{apart:.0f}",
        f"{together:.0f}",
        f"{each:.2f} a clip; {share:.1f} % in all",
    )
    await workers.stop()
    return table


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--detector-path", type=Path)
    given = parser.parse_args()
    cv2.setNumThreads(1)
    console = Console(highlight=False)
    console.print(machine())
    console.print(asyncio.run(measure(given)))


if __name__ == "__main__":
    main()
