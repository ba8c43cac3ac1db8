"""The service against the bare pipeline: the same videos through the same code in a plain loop.

    python -m benchmarks.throughput [--rounds 5] [--videos 6]

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
from functools import partial

import numpy as np

from benchmarks.clients import closed_loop
from benchmarks.pairs import Spread, in_turns, ratios
from benchmarks.report import Section, command
from benchmarks.server import service
from benchmarks.videos import people
from service.classifier.classifier import load_classifier
from service.clips import Clip, ClipSpec
from service.extraction import ExtractionLimits, extract
from service.faces.factory import load_detector
from service.faces.tracking import TrackerSettings
from service.registry import BUILT_IN_MODEL
from service.video.deadline import Deadline

BATCH = 16
PROMISED = 0.9


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
            "full",
            detector=self._detector,
            tracking=TrackerSettings(),
            limits=ExtractionLimits(),
            deadline=Deadline(math.inf),
        )
        clips = [item for item in items if isinstance(item, Clip)]
        for at in range(0, len(clips), BATCH):
            self._classifier.score(np.stack([clip.pixels for clip in clips[at : at + BATCH]]))
        return len(clips)


def arguments(parser: argparse.ArgumentParser) -> None:
    """Of the command line."""
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--videos", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=4.0)


def measure(given: argparse.Namespace) -> list[Section]:
    """One table."""
    videos = [people(given.seconds)] * given.videos
    bare = Bare()
    with service() as server:

        def served(clients: int) -> int:
            answers = asyncio.run(closed_loop(server.url, videos, clients))
            return sum(each.clips for each in answers)

        ways: dict[str, Callable[[], int]] = {
            "bare": lambda: sum(bare.score(video) for video in videos),
            "one client": lambda: served(1),
            "two clients": lambda: served(2),
        }
        counts = {name: way() for name, way in ways.items()}
        assert len(set(counts.values())) == 1, counts
        took = in_turns(
            {name: partial(seconds_of, way) for name, way in ways.items()}, given.rounds, "scoring"
        )
    section = Section(
        f"The service against the bare pipeline: {given.videos} videos of {given.seconds:g} s",
        ["way", "s", "clips/s", "of the bare pipeline's rate"],
    )
    for name, times in took.items():
        rate = ratios(took["bare"], times)
        clips = Spread.of(counts[name] / each for each in times)
        section.rows.append([name, Spread.of(times).text(), clips.text(1), rate.text()])
        if rate.middle < PROMISED:
            section.broken.append(f"{name}: below {PROMISED} of the bare pipeline")
    return [section]


def seconds_of(way: Callable[[], object]) -> float:
    """By the clock."""
    began = time.perf_counter()
    way()
    return time.perf_counter() - began


def main() -> int:
    """Measure and print."""
    return command("throughput", __doc__, arguments, measure)


if __name__ == "__main__":
    sys.exit(main())
