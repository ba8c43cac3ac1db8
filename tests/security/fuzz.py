"""Damaged videos by the thousand, sent to a real server, and what becomes of them.

    python -m tests.security.fuzz --count 10000 --seed 1 [--url http://localhost:8000]

Starts a server of its own unless ``--url`` names one, which must have ``decode_seconds`` of
``SECONDS``. Prints how many ended how and every one that should not have ended so, with its number;
it can be had again by ``--only NUMBER``. Fails where anything but a report or a known error came,
where one took longer than its deadline and two seconds, where the server ended, or where a good
video is not read afterwards.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import httpx
from rich.console import Console
from rich.progress import track

from benchmarks.machine import machine
from tests import media
from tests.onnx_models import brightness_model
from tests.security.mutation import mutated, originals
from tests.security.server_process import ServerProcess, free_port, process

CODES = frozenset({"undecodable", "no_video", "over_limits", "too_slow", "worker_lost"})
REPORT = "report"
SECONDS = 10.0
"""Each may take."""
_GRACE = 2.0
_AT_ONCE = len(os.sched_getaffinity(0)) + 1
"""One more than there are cores, since one is on its way. The server reads as many at a time, so
that the time of each is its own."""
_ENOUGH = 20
"""Wrong ones, after which more would tell nothing new: a server that has gone answers none."""

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
            if len(tally.wrong) >= _ENOUGH:
                return
            data = mutated(seed, number)
            began = time.monotonic()
            outcome = await _outcome(send, data)
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
    good = await _outcome(send, media.group_video(5))
    if good != REPORT:
        tally.wrong.append(f"afterwards a good video: {good}")
    return tally


async def _outcome(send: Send, data: bytes) -> str:
    try:
        return await send(data)
    except Exception as error:
        return f"{type(error).__name__}: {error}"


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


@contextmanager
def serving() -> Iterator[ServerProcess]:
    """A server to be fuzzed."""
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), free_port()
        (folder / "model.onnx").write_bytes(brightness_model())
        (folder / "work").mkdir()
        environment = {
            "DEEPFAKE_MODEL__PATH": str(folder / "model.onnx"),
            "DEEPFAKE_LIMITS__DECODE_SECONDS": str(SECONDS),
            "DEEPFAKE_LIMITS__CONCURRENCY": str(_AT_ONCE),
        }
        command = [sys.executable, "-m", "service", "serve", "--port", str(port)]
        with process(command, port, folder / "work", environment) as server:
            yield server


async def fuzz_server(url: str, seed: int, numbers: Iterable[int]) -> Tally:
    """Fuzz what answers there."""
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        return await fuzz(over(client), seed, numbers)


def main() -> None:
    """Fuzz and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, help="this number alone")
    parser.add_argument("--url", help="of a running server; else one is started")
    given = parser.parse_args()
    numbers = range(given.count) if given.only is None else [given.only]
    print(f"{date.today()}, {machine()}")
    print(f"{len(originals())} originals, seed {given.seed}, {len(numbers)} mutants")
    began = time.monotonic()
    shown = track(numbers, "Sending", console=Console(stderr=True))
    if given.url:
        tally = asyncio.run(fuzz_server(given.url, given.seed, shown))
    else:
        with serving() as server:
            tally = asyncio.run(fuzz_server(server.url, given.seed, shown))
            if not server.running:
                tally.wrong.append("the server has ended")
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
