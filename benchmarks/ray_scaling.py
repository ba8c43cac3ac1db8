"""Ray Serve with one replica that reads videos against two.

    scripts/setup ray
    python -m benchmarks.ray_scaling [--rounds 5] [--videos 8] [--seconds 2] [--clients 4]

Both clusters run on this machine all the time and are asked in turn for the same videos, every clip
of every face. Each replica reads one video at a time; one more process runs the network, with one
thread. Once that is the model in the box, once one of tiny clips that costs next to nothing: on two
cores the first leaves little for a second replica to use, and the second shows what reading alone
gains. What other programs had of the processors meanwhile is said. Ends with status 1 where two are
no faster with the network that costs nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.clients import closed_loop
from benchmarks.pairs import Spread, in_turns, ratios
from benchmarks.processes import processor
from benchmarks.report import Section, command
from benchmarks.server import Server, program
from benchmarks.videos import PEOPLE, people
from service.registry import BUILT_IN_MODEL
from tests.onnx_models import brightness_model
from tests.operate.ray.clusters import PYTHON
from tests.security.server_process import free_port

REPLICAS = (1, 2)


@dataclass(frozen=True)
class Turn:
    """All videos once: seconds, clips, processor seconds of the cluster, and the share of the
    machine's processors that all other programs had, this one among them."""

    seconds: float
    clips: int
    processor: float
    others: float


def arguments(parser: argparse.ArgumentParser) -> None:
    """Of the command line."""
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--videos", type=int, default=8, help="in each round")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each video")
    parser.add_argument("--faces", type=int, default=PEOPLE, help="people in each video")
    parser.add_argument("--clients", type=int, default=4)


def measure(given: argparse.Namespace) -> list[Section]:
    """A table for each network."""
    with TemporaryDirectory() as folder:
        free = Path(folder, "free.onnx")
        free.write_bytes(brightness_model())
        networks = {"the model in the box": BUILT_IN_MODEL, "a network that costs nothing": free}
        return [scaling(given, name, path) for name, path in networks.items()]


def scaling(given: argparse.Namespace, name: str, model: Path) -> Section:
    """One table."""
    section = Section(
        f"Ray Serve with {name}: {given.videos} videos of {given.seconds:g} s with {given.faces} "
        f"face(s), {given.clients} clients",
        ["replicas", "s", "clips/s", "times the rate of one", "processor s", "others, %"],
    )
    if not PYTHON.exists():
        section.remarks.append(f"Not run: {PYTHON} is missing (scripts/setup ray).")
        return section
    videos = [people(given.seconds, given.faces)] * given.videos
    with ExitStack() as stack:
        running = {each: stack.enter_context(cluster(each, model)) for each in REPLICAS}

        turns = {
            str(each): partial(turn, server, videos, given.clients)
            for each, server in running.items()
        }
        for first in turns.values():
            first()
        found = in_turns(turns, given.rounds, "serving")
    took = {replicas: [each.seconds for each in those] for replicas, those in found.items()}
    one, *_, most = took.values()
    for replicas, those in found.items():
        section.rows.append(
            [
                replicas,
                Spread.of(took[replicas]).text(),
                Spread.of(each.clips / each.seconds for each in those).text(1),
                ratios(one, took[replicas]).text(),
                Spread.of(each.processor for each in those).text(1),
                Spread.of(100 * each.others for each in those).text(0),
            ]
        )
    if model != BUILT_IN_MODEL and ratios(one, most).middle <= 1:
        section.broken.append("two replicas are no faster than one")
    return section


def turn(server: Server, videos: list[bytes], clients: int) -> Turn:
    """All videos once."""
    used, busy, began = processor(server.pid), machine_busy(), time.monotonic()
    answers = asyncio.run(closed_loop(server.url, videos, clients))
    seconds = time.monotonic() - began
    used, busy = processor(server.pid) - used, machine_busy() - busy
    assert {each.status for each in answers} == {200}
    others = max(0.0, busy - used) / (seconds * (os.cpu_count() or 1))
    return Turn(seconds, sum(each.clips for each in answers), used, others)


def machine_busy() -> float:
    """Seconds that all processors have worked so far."""
    ticks = [int(each) for each in Path("/proc/stat").read_text().split("\n")[0].split()[1:]]
    idle, waiting = ticks[3:5]
    return (sum(ticks[:8]) - idle - waiting) / os.sysconf("SC_CLK_TCK")


@contextmanager
def cluster(replicas: int, model: Path) -> Iterator[Server]:
    """A running one."""
    port = free_port()
    words = [str(PYTHON), "-m", "deploy.ray.local", "--port", str(port)]
    words += [f"decoders={replicas}", f"model={model}"]
    settings = {
        "DEEPFAKE_LIMITS__CONCURRENCY": "1",
        "DEEPFAKE_LIMITS__CALLER_SHARE": "1",
        "DEEPFAKE_MODEL__THREADS": "1",
    }
    with program(words, port, "/v2/health/ready", settings) as server:
        yield server


def main() -> int:
    """Measure and print."""
    return command("ray_scaling", __doc__, arguments, measure)


if __name__ == "__main__":
    sys.exit(main())
