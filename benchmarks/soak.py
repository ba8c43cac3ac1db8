"""A thousand mixed requests: does anything grow?

    python -m benchmarks.soak [--requests 1000]

Good videos in every form, broken ones, oversized ones, clients that leave, jobs that are cancelled.
Memory, descriptors and processes of the server are compared before and after. Ends with status 1
where the memory of the server or of the process its readers come from has grown by more than a
tenth, descriptors by more than five, or a zombie is there.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import sys
from collections import Counter

import httpx

from benchmarks.machine import machine
from benchmarks.server import Server, service
from tests import media
from tests.unit.sandbox.processes import children_of, resident, state_of

OCTETS = {"Content-Type": "application/octet-stream"}
PATH = "/v1/detections?sampling=stride=0.5"
WARM_UP = 100


class Client:
    """Sends one request of a random kind after the other."""

    def __init__(self, session: httpx.AsyncClient, seed: int) -> None:
        self._session, self._rng = session, random.Random(seed)
        good = media.group_video(10)
        self._good, self._short = good, media.numbered_video(10)
        self._bad = [b"text", media.png(), good[: len(good) // 2], media.truncated_moov()]
        self.answers: Counter[str] = Counter()

    async def send(self) -> None:
        """One request."""
        kind = self._rng.choice(
            ("raw", "raw", "raw", "form", "stream", "job", "broken", "broken", "large", "leaves")
        )
        status = await getattr(self, f"_{kind}")()
        self.answers[f"{kind} {status}"] += 1

    async def _post(self, data: bytes, **headers: str) -> httpx.Response:
        return await self._session.post(PATH, content=data, headers=OCTETS | headers)

    async def _raw(self) -> int:
        return (await self._post(self._rng.choice((self._good, self._short)))).status_code

    async def _form(self) -> int:
        return (await self._session.post(PATH, files={"file": self._good})).status_code

    async def _stream(self) -> int:
        return (await self._post(self._short, Accept="application/x-ndjson")).status_code

    async def _job(self) -> int:
        response = await self._post(self._good, Prefer="respond-async")
        if response.status_code == 202:
            await asyncio.sleep(self._rng.uniform(0, 1))
            await self._session.delete(response.headers["location"])
        return response.status_code

    async def _broken(self) -> int:
        return (await self._post(self._rng.choice(self._bad))).status_code

    async def _large(self) -> int:
        return (await self._post(media.padded(self._short, 4_000_000))).status_code

    async def _leaves(self) -> str:
        try:
            async with asyncio.timeout(self._rng.uniform(0.05, 1.0)):
                await self._post(self._good)
        except TimeoutError:
            return "left"
        return "stayed"


def state(server: Server) -> tuple[int, int, int, int]:
    """Bytes resident in the server and in its children's parents, descriptors, zombies."""
    below = children_of(server.pid)
    everybody = [*below, *(pid for each in below for pid in children_of(each))]
    zombies = sum(state_of(pid) == "Z" for pid in everybody)
    nurseries = sum(resident(pid) for pid in below if state_of(pid) != "Z")
    return resident(server.pid), nurseries, len(os.listdir(f"/proc/{server.pid}/fd")), zombies


async def soak(
    server: Server, requests: int
) -> tuple[list[tuple[int, int, int, int]], Counter[str]]:
    """State after warming up, then after each tenth of the requests."""
    async with httpx.AsyncClient(base_url=server.url, timeout=120) as session:
        client = Client(session, seed=1)
        states = []
        for number in range(WARM_UP + requests):
            if number >= WARM_UP and (number - WARM_UP) % max(1, requests // 10) == 0:
                await asyncio.sleep(2)
                states.append(state(server))
                print(f"{number - WARM_UP}: {_words(states[-1])}", flush=True)
            await client.send()
        await asyncio.sleep(3)
        states.append(state(server))
    return states, client.answers


def _words(state: tuple[int, ...]) -> str:
    server, nursery, descriptors, zombies = state
    return (
        f"server {server / 2**20:.1f} MiB, nursery {nursery / 2**20:.1f} MiB, "
        f"{descriptors} descriptors, {zombies} zombies"
    )


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=1000)
    options = parser.parse_args()
    print(machine())
    with service() as server:
        states, answers = asyncio.run(soak(server, options.requests))
    print(f"{options.requests}: {_words(states[-1])}")
    print(", ".join(f"{kind}: {count}" for kind, count in sorted(answers.items())))
    first, last = states[0], states[-1]
    grown, below = (last[place] / first[place] - 1 for place in (0, 1))
    wrong = max(grown, below) > 0.1 or abs(last[2] - first[2]) > 5 or last[3] > 0
    print(
        f"memory of the server {grown:+.1%}, of the nursery {below:+.1%}, descriptors "
        f"{last[2] - first[2]:+d}: {'GREW' if wrong else 'held'}"
    )
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
