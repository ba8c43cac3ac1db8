"""A short video while long ones are scored, beside the same when nothing else is asked.

    python -m benchmarks.fairness [--rounds 3] [--short 15] [--clients 2] [--long 60]

Phases take turns: in one a client sends short videos of one face, one after the other, and nobody
else sends anything; in the others clients keep sending long videos of six faces meanwhile, which
are taken back at the end. The service tells long from short by the time that they have been read
for, so it matters since when: they have just begun, or are known for long. Ends with status 1
where a 99th percentile beside them is more than three times the median of an idle service.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from contextlib import suppress

import numpy as np

from benchmarks.clients import OCTETS, answer, closed_loop, detect, percentiles, session
from benchmarks.pairs import Spread, in_turns
from benchmarks.report import Section, command
from benchmarks.server import service
from benchmarks.videos import long, people

PROMISED = 3.0


def arguments(parser: argparse.ArgumentParser) -> None:
    """Of the command line."""
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--short", type=int, default=15, help="short videos in each phase")
    parser.add_argument("--seconds", type=float, default=1.0, help="of a short video")
    parser.add_argument("--clients", type=int, default=2, help="that send long videos")
    parser.add_argument("--long", type=int, default=60, help="seconds of a long video")
    parser.add_argument(
        "--settle", type=float, default=12.0, help="seconds after which long ones are known as such"
    )


def measure(given: argparse.Namespace) -> list[Section]:
    """One table."""
    short, large = people(given.seconds, 1), long(given.long)
    with service() as server:
        asyncio.run(closed_loop(server.url, [short] * 3, 1))

        def phase(clients: int, settle: float) -> list[float]:
            return asyncio.run(beside(server.url, [short] * given.short, large, clients, settle))

        ways = {
            "idle": lambda: phase(0, 0.0),
            "beside long ones": lambda: phase(given.clients, given.settle),
            "beside long ones that have just begun": lambda: phase(given.clients, 1.0),
        }
        found = in_turns(ways, given.rounds, "short videos")
    section = Section(
        f"A short video ({given.seconds:g} s) beside {given.clients} client(s) with long ones "
        f"({given.long} s)",
        ["service", "videos", "p50, s", "p95, s", "p99, s", "p99 over the idle median"],
    )
    for name, turns in found.items():
        times = [seconds for turn in turns for seconds in turn]
        times_idle = Spread.of(
            float(np.percentile(turn, 99) / np.median(idle))
            for turn, idle in zip(turns, found["idle"], strict=True)
        )
        section.rows.append([name, str(len(times)), *percentiles(times), times_idle.text()])
        if times_idle.middle > PROMISED:
            section.broken.append(f"{name}: more than {PROMISED:g} times the idle latency")
    return [section]


async def beside(
    url: str, videos: list[bytes], large: bytes, clients: int, settle: float
) -> list[float]:
    """Seconds of each short video, sent one after the other while clients send long ones."""
    async with session(url) as http, session(url) as others:

        async def keep_sending() -> None:
            while True:
                await others.post("/v1/detections?sampling=full", content=large, headers=OCTETS)

        sending = [asyncio.create_task(keep_sending()) for _ in range(clients)]
        if clients:
            await asyncio.sleep(settle)
        answers = [await answer(http, video, detect) for video in videos]
        for task in sending:
            assert not task.done(), "a client with long videos has ended"
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
    if any(each.status != 200 for each in answers):
        raise SystemExit(f"answers {sorted({each.status for each in answers})}")
    # What was taken back is still being put away.
    await asyncio.sleep(1 if clients else 0)
    return [each.seconds for each in answers]


def main() -> int:
    """Measure and print."""
    return command("fairness", __doc__, arguments, measure)


if __name__ == "__main__":
    sys.exit(main())
