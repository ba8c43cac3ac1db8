"""The service beside LitServe, Ray Serve and BentoML around a naive pipeline.

    scripts/setup benchmarks
    python -m benchmarks.peers [--rounds 3] [--clients 8] [--videos 8] [--seconds 2] [--replicas 1]

All score the same videos with the same ONNX file, every clip of every face, for clients that each
send the next video when they have the answer. What the others serve is ``benchmarks.naive``, which
says what it does; they have their documentation's defaults but the number of replicas, and no
timeout. The service has its defaults. Both find faces with the same SCRFD file: the naive pipeline
in every frame at 640 x 640, as InsightFace's documentation has it, the service as it does. All
servers run all the time and are asked in turn. Ends with status 1 where the service has less than
1.5 times the videos a second of LitServe's or Ray Serve's.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx

from benchmarks.clients import OCTETS, Answer, Ask, closed_loop, detect, percentiles
from benchmarks.pairs import Spread, in_turns, ratios
from benchmarks.processes import processor, watched
from benchmarks.report import Section, command
from benchmarks.server import Server, program, service
from benchmarks.videos import PEOPLE, people
from service.registry import BUILT_IN_MODEL
from tests.security.server_process import REPOSITORY, free_port
from tests.shared import SHARED

PEERS = REPOSITORY / ".venv-benchmarks" / "bin" / "python"
DETECTOR = SHARED / "models" / "insightface" / "scrfd_2.5g_kps.onnx"
OURS = "this project"
PROMISED = {"LitServe": 1.5, "Ray Serve": 1.5}


@dataclass(frozen=True)
class Peer:
    """A running server and how it is asked."""

    server: Server
    ask: Ask
    first: float
    """Seconds from its start to its first answer."""


@dataclass(frozen=True)
class Turn:
    """All videos once: seconds, of processor time too, bytes at most."""

    answers: list[Answer]
    seconds: float
    processor: float
    memory: int

    @property
    def clips(self) -> int:
        """Of all videos."""
        return sum(each.clips for each in self.answers)


def arguments(parser: argparse.ArgumentParser) -> None:
    """Of the command line."""
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--videos", type=int, default=8, help="in each round")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each video")
    parser.add_argument("--faces", type=int, default=PEOPLE, help="people in each video")
    parser.add_argument("--replicas", type=int, default=1, help="of the naive pipeline")
    parser.add_argument("--model", type=Path, default=BUILT_IN_MODEL)
    parser.add_argument("--detector", type=Path, default=DETECTOR, help="an SCRFD file")
    parser.add_argument("--without", nargs="+", default=[], metavar="SERVER", help="leave out")


def measure(given: argparse.Namespace) -> list[Section]:
    """One table."""
    section = Section(
        f"Servers: {given.clients} clients, videos of {given.seconds:g} s with {given.faces} "
        f"face(s), {given.replicas} replica(s) of the naive pipeline",
        [
            *("server", "videos/s", "ours times its rate", "clips/video", "p50, s", "p95, s"),
            *("p99, s", "processor s/clip", "memory, MiB", "first answer, s"),
        ],
    )
    for path, hint in ((PEERS, "scripts/setup benchmarks"), (given.detector, "--detector FILE")):
        if not path.exists():
            section.remarks.append(f"Not run: {path} is missing ({hint}).")
            return [section]
    videos = [people(given.seconds, given.faces)] * given.videos
    with ExitStack() as stack:
        running: dict[str, Peer] = {}
        for name, start in starts(given).items():
            if name in given.without:
                continue
            try:
                running[name] = stack.enter_context(start())
            except RuntimeError as error:
                section.remarks.append(f"Not run: {name}: {error}")
        turns = in_turns(
            {name: partial(turn, peer, videos, given.clients) for name, peer in running.items()},
            given.rounds,
            "serving",
        )
    for name, found in turns.items():
        section.rows.append(row(name, found, turns[OURS], running[name].first, section))
    return [section]


def starts(given: argparse.Namespace) -> dict[str, Callable[[], AbstractContextManager[Peer]]]:
    """How each server is started."""
    environment = {
        "NAIVE_MODEL": str(given.model.resolve()),
        "NAIVE_DETECTOR": str(given.detector.resolve()),
        "NAIVE_REPLICAS": str(given.replicas),
        "RAY_USAGE_STATS_ENABLED": "0",
        "BENTOML_DO_NOT_TRACK": "True",
    }

    @contextmanager
    def peer(ready: str, ask: Ask, *command: str) -> Iterator[Peer]:
        port = free_port()
        words = [part.replace("PORT", str(port)) for part in command]
        with program([str(PEERS), *words], port, ready, environment) as server:
            yield asked(server, ask)

    @contextmanager
    def ours() -> Iterator[Peer]:
        settings = {"MODEL__PATH": given.model.resolve(), "FACES__PATH": given.detector.resolve()}
        with service(**settings) as server:
            yield asked(server, detect)

    replicas = str(given.replicas)
    return {
        OURS: ours,
        "LitServe": lambda: peer(
            "/health", as_json, "-m", "benchmarks.naive.litserve_server", "PORT", replicas
        ),
        "Ray Serve": lambda: peer(
            "/-/healthz", as_body, "-m", "benchmarks.naive.ray_server", "PORT", replicas
        ),
        "BentoML": lambda: peer(
            "/readyz",
            as_form,
            *("-m", "bentoml", "serve", "benchmarks.naive.bento_server:Server"),
            *("--host", "127.0.0.1", "--port", "PORT"),
        ),
    }


def asked(server: Server, ask: Ask) -> Peer:
    """A server that has answered once: some are ready before their replicas are. Raises
    ``RuntimeError`` where it does not within a minute."""
    began, answers = time.monotonic(), []
    while time.monotonic() - began < 60:
        answers = asyncio.run(closed_loop(server.url, [people(0.4)], 1, ask))
        if answers[0].status == 200 and answers[0].clips:
            return Peer(server, ask, server.ready + time.monotonic() - began)
        time.sleep(0.2)
    raise RuntimeError(f"answers {answers}")


async def as_json(session: httpx.AsyncClient, video: bytes) -> tuple[int, int]:
    """LitServe's way."""
    encoded = base64.b64encode(video).decode()
    return counted(await session.post("/predict", json={"video": encoded}))


async def as_body(session: httpx.AsyncClient, video: bytes) -> tuple[int, int]:
    """Ray Serve's way."""
    return counted(await session.post("/", content=video, headers=OCTETS))


async def as_form(session: httpx.AsyncClient, video: bytes) -> tuple[int, int]:
    """BentoML's way."""
    return counted(await session.post("/score", files={"video": ("video.mp4", video, "video/mp4")}))


def counted(response: httpx.Response) -> tuple[int, int]:
    """Status, and clips of the naive pipeline's answer."""
    scored = response.status_code == 200
    return response.status_code, len(response.json()["scores"]) if scored else 0


def turn(peer: Peer, videos: list[bytes], clients: int) -> Turn:
    """All videos once."""
    with watched(peer.server.pid) as peak:
        used, began = processor(peer.server.pid), time.monotonic()
        answers = asyncio.run(closed_loop(peer.server.url, videos, clients, peer.ask))
        seconds = time.monotonic() - began
        used = processor(peer.server.pid) - used
    return Turn(answers, seconds, used, peak.bytes)


def row(
    name: str, found: list[Turn], ours: list[Turn], first: float, section: Section
) -> list[str]:
    """All rounds of one server; notes what was promised and not kept."""
    answers = [each for turn in found for each in turn.answers]
    if others := {each.status for each in answers} - {200}:
        section.broken.append(f"{name}: answers {sorted(others)}")
    ratio = ratios([turn.seconds for turn in found], [turn.seconds for turn in ours])
    if ratio.middle < PROMISED.get(name, 0.0):
        section.broken.append(f"less than {PROMISED[name]} times {name}'s rate")
    clips = sum(turn.clips for turn in found)
    each = [turn.processor / turn.clips for turn in found if turn.clips]
    return [
        name,
        Spread.of(len(turn.answers) / turn.seconds for turn in found).text(),
        "" if name == OURS else ratio.text(),
        f"{clips / len(answers):.0f}",
        *percentiles([one.seconds for one in answers]),
        f"{Spread.of(each).middle:.3f}" if each else "",
        f"{max(turn.memory for turn in found) / 2**20:.0f}",
        f"{first:.1f}",
    ]


def main() -> int:
    """Measure and print."""
    return command("peers", __doc__, arguments, measure)


if __name__ == "__main__":
    sys.exit(main())
