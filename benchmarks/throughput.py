"""The service against the bare pipeline: the same videos through the same code in a plain loop.

    python -m benchmarks.throughput [--repeats 5] [--videos 6]

The bare pipeline reads, finds, cuts and scores in this process, one video after the other, without
HTTP, processes of its own or a shared queue. The service gets the same videos over HTTP from one
client and from two. The ways take turns; the figures are medians. Ends with status 1 where the
service reaches less than nine tenths of the bare pipeline's rate.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import httpx
import numpy as np

from benchmarks.machine import machine
from service.classifier.classifier import load_classifier
from service.clips import Clip, ClipSpec
from service.extraction import ExtractionLimits, extract
from service.faces.factory import load_detector
from service.faces.tracking import TrackerSettings
from service.registry import BUILT_IN_MODEL
from service.video.deadline import Deadline
from tests import media
from tests.security.server_process import free_port, process

BATCH = 16
PROMISED = 0.9
OCTETS = {"Content-Type": "application/octet-stream"}


class Bare:
    """The pipeline in a plain loop."""

    def __init__(self) -> None:
        self._classifier = load_classifier(BUILT_IN_MODEL, device="cpu")
        self._detector = load_detector("mtcnn")

    def score(self, data: bytes) -> int:
        """Score one video; gives the number of clips."""
        items = extract(
            data,
            (ClipSpec.of(self._classifier.contract),),
            "auto",
            detector=self._detector,
            tracking=TrackerSettings(),
            limits=ExtractionLimits(),
            deadline=Deadline(math.inf),
        )
        clips = [item for item in items if isinstance(item, Clip)]
        for at in range(0, len(clips), BATCH):
            self._classifier.score(np.stack([clip.pixels for clip in clips[at : at + BATCH]]))
        return len(clips)


async def served(url: str, videos: list[bytes], clients: int) -> int:
    """Score the videos over HTTP, so many at a time; gives the number of clips."""
    waiting, clips = list(videos), 0

    async def one(session: httpx.AsyncClient) -> None:
        nonlocal clips
        while waiting:
            response = await session.post("/v1/detections", content=waiting.pop(), headers=OCTETS)
            clips += response.json()["coverage"]["clips_scored"]

    async with httpx.AsyncClient(base_url=url, timeout=600) as session:
        await asyncio.gather(*(one(session) for _ in range(clients)))
    return clips


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--videos", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=4.0)
    options = parser.parse_args()
    print(machine())
    videos = [media.group_video(round(25 * options.seconds))] * options.videos
    bare, port = Bare(), free_port()
    command = [sys.executable, "-m", "service", "serve", "--port", str(port)]
    settings = {"DEEPFAKE_MODEL__PATH": str(BUILT_IN_MODEL)}
    with (
        TemporaryDirectory() as folder,
        process(command, port, Path(folder), settings) as server,
    ):
        ways: dict[str, Callable[[], int]] = {
            "bare": lambda: sum(bare.score(video) for video in videos),
            "one client": lambda: asyncio.run(served(server.url, videos, 1)),
            "two clients": lambda: asyncio.run(served(server.url, videos, 2)),
        }
        counts = {name: way() for name, way in ways.items()}
        assert len(set(counts.values())) == 1, counts
        took: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(options.repeats):
            for name, way in ways.items():
                began = time.perf_counter()
                way()
                took[name].append(time.perf_counter() - began)
    slow = []
    for name, times in took.items():
        rates = [b / t for b, t in zip(took["bare"], times, strict=True)]
        print(
            f"{name}: {median(times):.2f} s for {options.videos} videos of {options.seconds:g} s, "
            f"{counts[name] / median(times):.1f} clips/s; {median(rates):.2f} of the bare "
            f"pipeline's rate ({min(rates):.2f} to {max(rates):.2f})"
        )
        if median(rates) < PROMISED:
            slow.append(name)
    print(f"below {PROMISED}: {', '.join(slow)}" if slow else f"at least {PROMISED}: held")
    return bool(slow)


if __name__ == "__main__":
    sys.exit(main())
