"""From the command to readiness, to the first answer, and what it all takes of memory.

    python -m benchmarks.startup [--rounds 3] [--model FILE]

The service is started anew in every round, scores a video of one second and then the same one
again: what the second is faster by is what was put off until somebody came. Times by the clock.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.clients import closed_loop
from benchmarks.pairs import Spread, in_turns
from benchmarks.processes import memory, processor
from benchmarks.report import Section, command
from benchmarks.server import service
from benchmarks.videos import people


@dataclass(frozen=True)
class Start:
    """One start: seconds and bytes."""

    ready: float
    processor: float
    ready_memory: int
    first: float
    second: float
    warm_memory: int


def arguments(parser: argparse.ArgumentParser) -> None:
    """Of the command line."""
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--model", type=Path, help="instead of the one in the box")


def start(model: Path | None) -> Start:
    """Start, ask twice, end."""
    video = people(1.0)
    with service(**({"MODEL__PATH": model.resolve()} if model else {})) as server:
        used, held = processor(server.pid), memory(server.pid)
        first, second = (
            asyncio.run(closed_loop(server.url, [video], 1))[0].seconds for _ in range(2)
        )
        return Start(server.ready, used, held, first, second, memory(server.pid))


def measure(given: argparse.Namespace) -> list[Section]:
    """One table."""
    people(1.0)
    starts = in_turns({"": lambda: start(given.model)}, given.rounds, "starting")[""]
    section = Section("Start and memory", ["what", "median (lowest to highest)"])
    for title, values, digits in (
        ("until ready, s", [each.ready for each in starts], 2),
        ("processor time until then, s", [each.processor for each in starts], 2),
        ("first video of 1 s, s", [each.first for each in starts], 2),
        ("the same again, s", [each.second for each in starts], 2),
        ("first over second", [each.first / each.second for each in starts], 2),
        ("memory when ready, MiB", [each.ready_memory / 2**20 for each in starts], 0),
        ("memory after two videos, MiB", [each.warm_memory / 2**20 for each in starts], 0),
    ):
        section.rows.append([title, Spread.of(values).text(digits)])
    section.remarks.append("Memory is of all its processes, shared pages counted once.")
    return [section]


def main() -> int:
    """Measure and print."""
    return command("startup", __doc__, arguments, measure)


if __name__ == "__main__":
    sys.exit(main())
