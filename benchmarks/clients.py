"""Clients that send videos: so many at a time, or at a rate whatever becomes of them."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import httpx
import numpy as np

Ask = Callable[[httpx.AsyncClient, bytes], Awaitable[tuple[int, int]]]
"""Sends a video; gives the status and how many clips were scored."""

OCTETS = {"Content-Type": "application/octet-stream"}


@dataclass(frozen=True)
class Answer:
    """One video's: seconds since it was due, status, clips."""

    seconds: float
    status: int
    clips: int


async def detect(session: httpx.AsyncClient, video: bytes) -> tuple[int, int]:
    """Ask this project's service, for every clip."""
    response = await session.post("/v1/detections?sampling=full", content=video, headers=OCTETS)
    scored = response.status_code == 200
    return response.status_code, response.json()["coverage"]["clips_scored"] if scored else 0


def session(url: str, connections: int = 1000) -> httpx.AsyncClient:
    """With time for the longest queue."""
    limits = httpx.Limits(max_connections=connections)
    # Reading certificates that nobody uses takes a fifth of a second.
    return httpx.AsyncClient(base_url=url, timeout=1200, limits=limits, verify=False)


async def answer(
    http: httpx.AsyncClient, video: bytes, ask: Ask, due: float | None = None
) -> Answer:
    """Send one video now; ``due`` is when it should have been, by ``time.monotonic``."""
    began = time.monotonic() if due is None else due
    status, clips = await ask(http, video)
    return Answer(time.monotonic() - began, status, clips)


async def closed_loop(
    url: str, videos: Sequence[bytes], clients: int, ask: Ask = detect
) -> list[Answer]:
    """Each client sends the next video when it has the answer to the last, until all are sent."""
    waiting, answers = list(videos), []

    async def client(http: httpx.AsyncClient) -> None:
        while waiting:
            answers.append(await answer(http, waiting.pop(), ask))

    async with session(url) as http:
        await asyncio.gather(*(client(http) for _ in range(clients)))
    return answers


def arrivals(rate: float, seconds: float, seed: int) -> list[float]:
    """Seconds at which a Poisson process of ``rate`` a second has its events, ascending."""
    rng, at, found = random.Random(seed), 0.0, []
    while (at := at + rng.expovariate(rate)) < seconds:
        found.append(at)
    return found


async def open_loop(
    url: str, videos: Sequence[bytes], due: Sequence[float], ask: Ask = detect
) -> list[Answer]:
    """Send a video at each of these seconds, in turn, whether or not the last are answered. Time
    counts from when each was due, so that a client that is late does not hide the wait."""

    async def one(http: httpx.AsyncClient, number: int, at: float) -> Answer:
        await asyncio.sleep(max(0.0, began + at - time.monotonic()))
        return await answer(http, videos[number % len(videos)], ask, began + at)

    async with session(url) as http:
        began = time.monotonic()
        return await asyncio.gather(*(one(http, number, at) for number, at in enumerate(due)))


def percentiles(seconds: Sequence[float]) -> list[str]:
    """50th, 95th and 99th, as cells of a table; empty ones of nothing."""
    if not seconds:
        return ["", "", ""]
    return [f"{value:.2f}" for value in np.percentile(seconds, [50, 95, 99])]
