"""Ray Serve with one replica that reads videos against two.

    scripts/setup ray
    python -m benchmarks.ray_scaling [--rounds 5] [--videos 8] [--seconds 2] [--clients 4]

Both clusters run on this machine all the time and are asked in turn for the same videos, every clip
of every face. Each replica reads one video at a time; one more process runs the network, with one
thread. Once that is the model in the box, once one that costs next to nothing, as on a GPU of its
own: on two cores the first leaves little for a second replica to use. Ends with status 1 where two
are no faster with the network that costs nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.clients import closed_loop
from benchmarks.pairs import Spread, in_turns, ratios
from benchmarks.report import Section, command
from benchmarks.server import Server, program
from benchmarks.throughput import seconds_of
from benchmarks.videos import PEOPLE, people
from service.registry import BUILT_IN_MODEL
from tests.onnx_models import CONTRACT, brightness_model
from tests.operate.ray.clusters import PYTHON
from tests.security.server_process import free_port

REPLICAS = (1, 2)


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
        # As large as those of the model in the box: its clips travel as far.
        sides = {"input_height": 240, "input_width": 240}
        free.write_bytes(brightness_model(CONTRACT.model_copy(update=sides)))
        networks = {"the model in the box": BUILT_IN_MODEL, "a network that costs nothing": free}
        return [scaling(given, name, path) for name, path in networks.items()]


def scaling(given: argparse.Namespace, name: str, model: Path) -> Section:
    """One table."""
    section = Section(
        f"Ray Serve with {name}: {given.videos} videos of {given.seconds:g} s with {given.faces} "
        f"face(s), {given.clients} clients",
        ["replicas", "s", "clips/s", "times the rate of one"],
    )
    if not PYTHON.exists():
        section.remarks.append(f"Not run: {PYTHON} is missing (scripts/setup ray).")
        return section
    videos = [people(given.seconds, given.faces)] * given.videos
    with ExitStack() as stack:
        running = {each: stack.enter_context(cluster(each, model)) for each in REPLICAS}

        def clips(server: Server) -> int:
            answers = asyncio.run(closed_loop(server.url, videos, given.clients))
            assert {each.status for each in answers} == {200}
            return sum(each.clips for each in answers)

        counts = {each: clips(server) for each, server in running.items()}
        assert len(set(counts.values())) == 1, counts
        took = in_turns(
            {
                str(each): partial(seconds_of, partial(clips, server))
                for each, server in running.items()
            },
            given.rounds,
            "serving",
        )
    one = took[str(REPLICAS[0])]
    for replicas, times in took.items():
        ratio = ratios(one, times)
        rates = Spread.of(counts[int(replicas)] / each for each in times)
        section.rows.append([replicas, Spread.of(times).text(), rates.text(1), ratio.text()])
    if model != BUILT_IN_MODEL and ratios(one, took[str(REPLICAS[-1])]).middle <= 1:
        section.broken.append("two replicas are no faster than one")
    return section


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
