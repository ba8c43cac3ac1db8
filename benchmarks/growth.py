"""How time and memory grow with a video's length, its faces and the number of clients.

    python -m benchmarks.growth [--rounds 3] [--lengths 2 4 8] [--faces 1 2 4 6] [--clients 1 2 4 8]

All points take turns. Lengths are of videos of six faces; faces and clients are measured on videos
of two seconds, and each client sends one. Time is by the clock; processor time and memory are of
all the service's processes, memory the most that was seen.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from benchmarks.clients import closed_loop
from benchmarks.pairs import Spread, in_turns, ratios
from benchmarks.processes import processor, watched
from benchmarks.report import Section, command
from benchmarks.server import Server, service
from benchmarks.videos import PEOPLE, people


@dataclass(frozen=True)
class Point:
    """One measurement: seconds, seconds of processor time, bytes, clips."""

    seconds: float
    processor: float
    memory: int
    clips: int


def arguments(parser: argparse.ArgumentParser) -> None:
    """Of the command line."""
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--lengths", type=int, nargs="+", default=[2, 4, 8])
    parser.add_argument("--faces", type=int, nargs="+", default=[1, 2, 4, 6])
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--seconds", type=float, default=2.0, help="of videos not of a length")


def measure(given: argparse.Namespace) -> list[Section]:
    """A table for each of the three."""
    kinds: dict[str, dict[int, list[bytes]]] = {
        "seconds": {each: [people(each)] for each in given.lengths},
        "faces": {each: [people(given.seconds, each)] for each in given.faces},
        "clients": {each: [people(given.seconds, PEOPLE)] * each for each in given.clients},
    }
    with service() as server:
        asyncio.run(closed_loop(server.url, [people(given.seconds)] * 3, 1))
        found = in_turns(
            {
                f"{kind} {size}": partial(score, server, videos)
                for kind, sizes in kinds.items()
                for size, videos in sizes.items()
            },
            given.rounds,
            "growing",
        )
    return [
        table(kind, {size: found[f"{kind} {size}"] for size in sizes})
        for kind, sizes in kinds.items()
    ]


def score(server: Server, videos: Sequence[bytes]) -> Point:
    """All at the same time."""
    with watched(server.pid, 0.05) as peak:
        used, began = processor(server.pid), time.monotonic()
        answers = asyncio.run(closed_loop(server.url, videos, len(videos)))
        seconds = time.monotonic() - began
        used = processor(server.pid) - used
    if any(each.status != 200 for each in answers):
        raise SystemExit(f"answers {sorted({each.status for each in answers})}")
    return Point(seconds, used, peak.bytes, sum(each.clips for each in answers))


def table(kind: str, points: dict[int, list[Point]]) -> Section:
    """One kind of growth; ratios are to its first size, of the same round."""
    section = Section(
        f"Growth with {kind}",
        [kind, "clips", "s", "times the first", "processor s", "times the first", "memory, MiB"],
    )
    first = next(iter(points.values()))
    for size, found in points.items():
        clock, used = ([getattr(each, name) for each in found] for name in ("seconds", "processor"))
        section.rows.append(
            [
                str(size),
                str(found[0].clips),
                Spread.of(clock).text(),
                ratios(clock, [each.seconds for each in first]).text(),
                Spread.of(used).text(),
                ratios(used, [each.processor for each in first]).text(),
                f"{max(each.memory for each in found) / 2**20:.0f}",
            ]
        )
    return section


def main() -> int:
    """Measure and print."""
    return command("growth", __doc__, arguments, measure)


if __name__ == "__main__":
    sys.exit(main())
