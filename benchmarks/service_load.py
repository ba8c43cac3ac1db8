"""The service under load that does not wait: so many videos a second, whatever becomes of them.

    python -m benchmarks.service_load [--shares 0.3 0.6 0.9 1.2] [--seconds 15] [--rounds 2]

First four clients that wait for their answers measure its capacity. Then videos arrive as a Poisson
process at shares of that, the rates in turn. Seconds are from when a video was due; one that
is refused with 429 counts as refused and has no time.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from benchmarks.clients import Answer, arrivals, closed_loop, open_loop, percentiles
from benchmarks.pairs import Spread, in_turns
from benchmarks.processes import processor, watched
from benchmarks.report import Section, command
from benchmarks.server import Server, service
from benchmarks.videos import people

CLIENTS = 4


@dataclass(frozen=True)
class Phase:
    """One rate for a while."""

    answers: list[Answer]
    seconds: float
    processor: float

    @property
    def scored(self) -> list[Answer]:
        """Those that were."""
        return [each for each in self.answers if each.status == 200]


def arguments(parser: argparse.ArgumentParser) -> None:
    """Of the command line."""
    parser.add_argument("--shares", type=float, nargs="+", default=[0.3, 0.6, 0.9, 1.2])
    parser.add_argument("--seconds", type=float, default=15.0, help="of each rate in each round")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--video", type=float, default=1.0, help="seconds of each video")
    parser.add_argument("--faces", type=int, default=1, help="people in each video")


def measure(given: argparse.Namespace) -> list[Section]:
    """One table."""
    video = people(given.video, given.faces)
    with service() as server, watched(server.pid) as peak:
        asyncio.run(closed_loop(server.url, [video] * 4, 2))
        warm, began = peak.bytes, time.monotonic()
        asyncio.run(closed_loop(server.url, [video] * (3 * CLIENTS), CLIENTS))
        capacity = 3 * CLIENTS / (time.monotonic() - began)
        seeds = iter(range(given.rounds * len(given.shares)))
        phases = in_turns(
            {
                f"{share:g}": partial(
                    offer, server, video, share * capacity, given.seconds, lambda: next(seeds)
                )
                for share in given.shares
            },
            given.rounds,
            "offering",
        )
    section = Section(
        f"Load that does not wait: videos of {given.video:g} s with {given.faces} face(s)",
        [
            *("share of capacity", "offered/s", "scored/s", "videos", "refused"),
            *("p50, s", "p95, s", "p99, s", "processor s/video"),
        ],
    )
    for share, found in phases.items():
        section.rows.append(row(share, found, section))
    section.remarks.append(
        f"Capacity: {capacity:.2f} videos/s with {CLIENTS} clients that wait. Memory of all its "
        f"processes: {warm / 2**20:.0f} MiB warm, {peak.bytes / 2**20:.0f} MiB at most."
    )
    return [section]


def offer(
    server: Server, video: bytes, rate: float, seconds: float, seed: Callable[[], int]
) -> Phase:
    """One rate for a while, until the last is answered."""
    due = arrivals(rate, seconds, seed())
    used, began = processor(server.pid), time.monotonic()
    answers = asyncio.run(open_loop(server.url, [video], due))
    return Phase(answers, time.monotonic() - began, processor(server.pid) - used)


def row(share: str, found: list[Phase], section: Section) -> list[str]:
    """All rounds of one rate; notes answers that should not be."""
    answers = [each for phase in found for each in phase.answers]
    scored = [each for phase in found for each in phase.scored]
    refused = sum(each.status == 429 for each in answers)
    if others := {each.status for each in answers} - {200, 429}:
        section.broken.append(f"answers {sorted(others)} at {share} of capacity")
    seconds = sum(phase.seconds for phase in found)
    each = [phase.processor / len(phase.scored) for phase in found if phase.scored]
    return [
        share,
        f"{len(answers) / seconds:.2f}",
        f"{len(scored) / seconds:.2f}",
        str(len(answers)),
        str(refused),
        *percentiles([one.seconds for one in scored]),
        Spread.of(each).text() if each else "",
    ]


def main() -> int:
    """Measure and print."""
    return command("service_load", __doc__, arguments, measure)


if __name__ == "__main__":
    sys.exit(main())
