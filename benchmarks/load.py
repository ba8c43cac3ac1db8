"""A hundred clients at once: what they get, and what the service needs meanwhile.

    python -m benchmarks.load [--clients 100] [--seconds 60]

Every client sends a video, small or padded to 16 MB, waits for the answer and sends the next; one
that is refused tries again a second later. Beside them a prober asks for health and metrics. Ends
with status 1 where a promise is broken: other answers than 200, 429 and 503, a refusal without
Retry-After, a connection that breaks, more memory than budgeted, a slow probe.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import random
import sys
import time
from collections import Counter
from multiprocessing.connection import Connection

import httpx
import numpy as np

from benchmarks.machine import machine
from benchmarks.server import Server, service
from tests import media
from tests.unit.sandbox.processes import resident

BUDGET = 256 * 2**20
"""Bytes of media that the service may hold."""
MARGIN = 200 * 2**20
LARGE = 16 * 2**20
PROBES = ("/v2/health/live", "/metrics")
SLOWEST = 0.25

Probed = tuple[dict[str, list[float]], list[int]]
"""Seconds of each answer by path, and bytes of memory."""


class Tally:
    """What was seen."""

    def __init__(self) -> None:
        self.answers: Counter[str] = Counter()
        self.broken: Counter[str] = Counter()
        self.without_retry_after = 0
        self.seconds: list[float] = []
        self.probes: dict[str, list[float]] = {path: [] for path in PROBES}
        self.memory: list[int] = []


async def client(
    session: httpx.AsyncClient, videos: list[bytes], until: float, seed: int, tally: Tally
) -> None:
    """One client."""
    rng = random.Random(seed)
    headers = {"Content-Type": "application/octet-stream"}
    while time.monotonic() < until:
        began = time.monotonic()
        try:
            response = await session.post(
                "/v1/detections?sampling=stride=0.5", content=rng.choice(videos), headers=headers
            )
        except httpx.TransportError as error:
            tally.broken[type(error).__name__] += 1
            continue
        tally.answers[str(response.status_code)] += 1
        if response.status_code == 200:
            tally.seconds.append(time.monotonic() - began)
            continue
        tally.answers[response.json()["code"]] += 1
        tally.without_retry_after += "retry-after" not in response.headers
        await asyncio.sleep(1)


def probe(url: str, pid: int, seconds: float, found: Connection[Probed, None]) -> None:
    """Ask for health, metrics and memory ten times a second, in a process of its own: the clients'
    loop, which is busy with sending, would only measure itself."""
    until = time.monotonic() + seconds
    times: dict[str, list[float]] = {path: [] for path in PROBES}
    memory = []
    with httpx.Client(base_url=url, timeout=30) as session:
        while time.monotonic() < until:
            for path in PROBES:
                began = time.monotonic()
                assert session.get(path).status_code == 200
                times[path].append(time.monotonic() - began)
            memory.append(resident(pid))
            time.sleep(0.1)
    found.send((times, memory))


async def measure(server: Server, clients: int, seconds: float) -> Tally:
    """All of them for so long."""
    tally = Tally()
    small = media.group_video(50)
    videos = [small, small, media.padded(small, LARGE)]
    limits = httpx.Limits(max_connections=clients, max_keepalive_connections=clients)
    async with httpx.AsyncClient(base_url=server.url, timeout=300, limits=limits) as session:
        for _ in range(4):
            await session.post(
                "/v1/detections", content=small, headers={"Content-Type": "video/mp4"}
            )
        tally.memory.append(resident(server.pid))
        context = multiprocessing.get_context("spawn")
        found, theirs = context.Pipe(duplex=False)
        prober = context.Process(target=probe, args=(server.url, server.pid, seconds, theirs))
        prober.start()
        until = time.monotonic() + seconds
        await asyncio.gather(
            *(client(session, videos, until, seed, tally) for seed in range(clients))
        )
        tally.probes, memory = await asyncio.to_thread(found.recv)
        prober.join()
    tally.memory += memory
    return tally


def promises(tally: Tally) -> list[str]:
    """What was broken."""
    wrong = []
    if others := {name for name in tally.answers if name.isdigit()} - {"200", "429", "503"}:
        wrong.append(f"answers {sorted(others)}")
    if tally.without_retry_after:
        wrong.append(f"{tally.without_retry_after} refusals without Retry-After")
    if tally.broken:
        wrong.append(f"connections broken: {dict(tally.broken)}")
    if max(tally.memory) - tally.memory[0] > BUDGET + MARGIN:
        wrong.append("more memory than budgeted")
    for path, times in tally.probes.items():
        if np.percentile(times, 99) > SLOWEST:
            wrong.append(f"{path} is slow")
    return wrong


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=60.0)
    options = parser.parse_args()
    print(machine())
    with service(LIMITS__MEDIA_BYTES=BUDGET) as server:
        tally = asyncio.run(measure(server, options.clients, options.seconds))
    print(f"{options.clients} clients, {options.seconds:g} s: {dict(tally.answers)}")
    if tally.seconds:
        middle, high = np.percentile(tally.seconds, [50, 99])
        print(f"scored: {len(tally.seconds)}, median {middle:.1f} s, 99th percentile {high:.1f} s")
    for path, times in tally.probes.items():
        middle, high = np.percentile(times, [50, 99]) * 1000
        print(f"{path}: {len(times)} asked, median {middle:.0f} ms, 99th percentile {high:.0f} ms")
    grown = (max(tally.memory) - tally.memory[0]) / 2**20
    print(f"memory: {tally.memory[0] / 2**20:.0f} MiB warm, at most {grown:+.0f} MiB")
    wrong = promises(tally)
    print("broken: " + "; ".join(wrong) if wrong else "all promises held")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
