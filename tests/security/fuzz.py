"""Damaged videos by the thousand, and what becomes of them.

    python -m tests.security.fuzz --count 10000 --seed 1 [--url http://localhost:8000]

Without ``--url`` they go to processes of the sandbox directly. Prints how many ended how and every
one that should not have ended so, with its number; it can be had again by ``--only NUMBER``. Fails
where anything but a report or a known error came, where one took longer than its deadline and two
seconds, or where a good video is not read afterwards.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field, replace

import httpx

from service.errors import ServiceError
from service.sandbox.workers import Workers
from tests import media
from tests.security.mutation import mutated, originals
from tests.unit.sandbox.jobs import JOB, MEMORY, done

CODES = frozenset({"undecodable", "no_video", "over_limits", "too_slow", "worker_lost"})
REPORT = "report"
SECONDS = 10.0
"""Each may take."""
_GRACE = 2.0
_AT_ONCE = 2

Send = Callable[[bytes], Awaitable[str]]
"""What becomes of these bytes: ``REPORT`` or an error's code."""


@dataclass
class Tally:
    """What became of all."""

    outcomes: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    lost: list[int] = field(default_factory=list)
    """Numbers of those that ended their process."""
    slowest: float = 0.0


async def fuzz(send: Send, seed: int, numbers: Iterable[int]) -> Tally:
    """Send the damaged videos of these numbers, a few at a time, then a good one."""
    tally = Tally()
    waiting = iter(numbers)

    async def one_after_the_other() -> None:
        for number in waiting:
            data = mutated(seed, number)
            began = time.monotonic()
            try:
                outcome = await send(data)
            except Exception as error:
                outcome = f"{type(error).__name__}: {error}"
            seconds = time.monotonic() - began
            tally.outcomes[outcome] += 1
            tally.slowest = max(tally.slowest, seconds)
            if outcome not in CODES | {REPORT}:
                tally.wrong.append(f"{number}: {outcome}")
            if seconds > SECONDS + _GRACE:
                tally.wrong.append(f"{number}: {outcome} after {seconds:.1f} s")
            if outcome == "worker_lost":
                tally.lost.append(number)

    await asyncio.gather(*(one_after_the_other() for _ in range(_AT_ONCE)))
    good = await send(media.group_video(5))
    if good != REPORT:
        tally.wrong.append(f"afterwards a good video: {good}")
    return tally


def through(workers: Workers) -> Send:
    """Directly to the processes."""

    async def send(data: bytes) -> str:
        try:
            await done(workers, data, replace(JOB, seconds=SECONDS))
        except ServiceError as error:
            return error.code
        return REPORT

    return send


def over(client: httpx.AsyncClient) -> Send:
    """To a server, which must have ``decode_seconds`` of ``SECONDS``."""

    async def send(data: bytes) -> str:
        headers = {"Content-Type": "video/mp4"}
        answer = await client.post("/v1/detections", content=data, headers=headers)
        if answer.status_code == 200:
            return REPORT
        problem = answer.json()
        # A mutation may leave nothing.
        return "undecodable" if problem["code"] == "empty_body" else str(problem["code"])

    return send


async def _run(given: argparse.Namespace, numbers: Iterable[int]) -> Tally:
    if given.url:
        async with httpx.AsyncClient(base_url=given.url, timeout=60) as client:
            return await fuzz(over(client), given.seed, numbers)
    workers = Workers(memory=MEMORY, cpu_seconds=2 * SECONDS)
    await workers.start()
    try:
        tally = await fuzz(through(workers), given.seed, numbers)
        print(f"nurseries replaced: {workers.restarts}")
        return tally
    finally:
        await workers.stop()


def main() -> None:
    """Fuzz and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, help="this number alone")
    parser.add_argument("--url", help="of a running server; else the processes directly")
    given = parser.parse_args()
    numbers = range(given.count) if given.only is None else [given.only]
    print(f"{len(originals())} originals, seed {given.seed}, {len(numbers)} mutants")
    began = time.monotonic()
    tally = asyncio.run(_run(given, numbers))
    print(f"{time.monotonic() - began:.0f} s, the slowest {tally.slowest:.1f} s")
    for outcome, count in tally.outcomes.most_common():
        print(f"{count:7} {outcome}")
    for number in tally.lost:
        print(f"process lost: {number}")
    for line in tally.wrong:
        print(f"WRONG {line}")
    sys.exit(bool(tally.wrong))


if __name__ == "__main__":
    main()
