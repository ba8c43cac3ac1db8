"""The classifier against the other ways of running the same network with the same weights.

    python -m benchmarks.classifier [--network full] [--batches 1 2 4 8] [--rounds 3]
        [--device cpu] [--keep FOLDER] [--fast]

``full`` is the released CLRNet at 240 pixels with random weights, ``box`` the model in the box.
Each way has a process of its own and scores the same clips in turn: the authors' graph in Keras,
PyTorch as it is and compiled, what ``torch.onnx.export`` makes of it in ONNX Runtime, and this
project's export in the service's classifier, on either of its runtimes; with ``--fast`` in int8
and in bfloat16 too. Clips a second are medians by the clock; ratios are of the same round; GFLOP/s
counts the operations that the network needs, whatever a way does, and its share is of the largest
product of float32 matrices measured in the same rounds.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.pairs import Spread, in_turns, ratios
from benchmarks.report import Section, command
from benchmarks.ways import matrix_operations
from benchmarks.worker import ROOT, NotRun, Run, Task, Worker

PEERS = ROOT / ".venv-benchmarks" / "bin" / "python"
OURS = "this project"
BASES = ("torch", "naive ONNX", "Keras")
TITLES = {"full": "CLRNet, 240 pixels", "box": "the model in the box", "small": "a tiny CLRNet"}


@dataclass(frozen=True)
class Loaded:
    """The ways that run here and why the others do not."""

    workers: Mapping[str, Worker]
    missing: Mapping[str, str]


def arguments(parser: argparse.ArgumentParser) -> None:
    """Of the command line."""
    parser.add_argument("--network", choices=sorted(TITLES), default="full")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--keep", type=Path, help="folder for the models, to be used again")
    parser.add_argument("--fast", action="store_true", help="int8 and bfloat16 too")
    parser.add_argument("--without", nargs="+", default=[], metavar="WAY", help="leave ways out")


def measure(given: argparse.Namespace) -> list[Section]:
    """One table for the network."""
    with TemporaryDirectory() as scratch:
        folder = (given.keep or Path(scratch)) / given.network
        # In a process of its own: PyTorch's threads and the weights end with it.
        subprocess.run(
            [sys.executable, "-m", "benchmarks.networks", given.network, folder],
            cwd=ROOT,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        if given.fast:
            subprocess.run(
                [sys.executable, "-m", "benchmarks.int8_networks", folder], cwd=ROOT, check=True
            )
        with loaded(given, folder) as ways:
            return [table(given, json.loads((folder / "network.json").read_text()), ways)]


@contextmanager
def loaded(given: argparse.Namespace, folder: Path) -> Iterator[Loaded]:
    """Every way's process, until the end of the block."""
    network = json.loads((folder / "network.json").read_text())

    def start(
        module: str,
        path: Path | str,
        python: Path | None = None,
        runtime: str = "onnxruntime",
        arithmetic: str = "float32",
    ) -> Worker:
        size = (network["frames"], network["side"])
        task = Task(str(path), *size, given.threads, given.device, runtime, arithmetic)
        return Worker(f"benchmarks.ways.{module}", task, python)

    starts: dict[str, Callable[[], Worker]] = {
        "Keras": partial(start, "keras_graph", folder, PEERS),
        "torch": partial(start, "eager", folder),
        "torch.compile": partial(start, "compiled", folder),
        "naive ONNX": partial(start, "naive", folder),
        OURS: partial(start, "ours", folder),
        f"{OURS}, OpenVINO": partial(start, "ours", folder, runtime="openvino"),
        "NumPy matrices": partial(start, "matrix", "numpy"),
        "torch matrices": partial(start, "matrix", "torch"),
    }
    if given.fast:
        plain, short = folder / "plain.onnx", folder / "int8.onnx"
        starts["int8"] = partial(start, "ours", short)
        starts["int8, OpenVINO"] = partial(start, "ours", short, runtime="openvino")
        starts["bfloat16, OpenVINO"] = partial(
            start, "ours", plain, runtime="openvino", arithmetic="bfloat16"
        )
    with running(
        {name: begin for name, begin in starts.items() if name not in given.without}
    ) as ways:
        yield ways


@contextmanager
def running(starts: Mapping[str, Callable[[], Worker]]) -> Iterator[Loaded]:
    """The processes of those that begin here, until the end of the block."""
    workers: dict[str, Worker] = {}
    missing: dict[str, str] = {}
    try:
        for name, begin in starts.items():
            try:
                workers[name] = begin()
            except NotRun as error:
                missing[name] = str(error)
        yield Loaded(workers, missing)
    finally:
        for worker in workers.values():
            worker.close()


def table(given: argparse.Namespace, network: dict[str, float], ways: Loaded) -> Section:
    """Measure every batch size in turns and write it down."""
    gigaflop = network["needed"] / 1e9
    workers, missing = dict(ways.workers), dict(ways.missing)
    section = Section(
        f"Classifier: {TITLES[given.network]}, {given.device}, {given.threads} threads",
        [
            *("way", "batch", "clips/s", "GFLOP/s", "share of peak", "processor s/clip"),
            *(f"times {base}" for base in BASES),
            "from torch",
        ],
    )
    peaks: list[float] = []
    for batch in given.batches:
        runs = timed(workers, missing, batch, given.rounds)
        peak = peak_of(runs, given.device)
        peaks.append(peak)
        for name, found in runs.items():
            if not name.endswith("matrices"):
                section.rows.append(row(name, batch, found, runs, gigaflop, peak))
    if OURS not in workers and OURS not in given.without:
        section.broken.append(f"{OURS} did not run")
    section.remarks = remarks(gigaflop, network["as_written"] / 1e9, peaks, workers, missing)
    return section


def timed(
    workers: dict[str, Worker], missing: dict[str, str], batch: int, rounds: int, warm: int = 1
) -> dict[str, list[Run]]:
    """What each of ``workers`` takes for ``batch`` clips, after ``warm`` runs that do not count;
    who cannot becomes one of ``missing``."""
    for name in list(workers):
        try:
            for _ in range(warm):
                workers[name].run(batch)  # Compiles, allocates.
        except NotRun as error:
            missing[f"{name}, batch {batch}"] = str(error)
            workers.pop(name).close()
    return in_turns(
        {name: partial(worker.run, batch) for name, worker in workers.items()},
        rounds,
        f"batch {batch}",
    )


def row(
    name: str,
    batch: int,
    found: list[Run],
    runs: Mapping[str, list[Run]],
    gigaflop: float,
    peak: float,
) -> list[str]:
    """One way at one batch size."""
    speed = Spread.of(batch / run.seconds for run in found)
    against = [
        ratios([run.seconds for run in runs[base]], [run.seconds for run in found]).text()
        if base in runs
        else ""
        for base in BASES
    ]
    apart = ""
    if "torch" in runs:
        pairs = zip(runs["torch"][0].scores, found[0].scores, strict=True)
        apart = f"{max(abs(one - other) for one, other in pairs):.1e}"
    return [
        name,
        str(batch),
        speed.text(3 if speed.middle < 1 else 2),
        f"{speed.middle * gigaflop:.0f}",
        f"{speed.middle * gigaflop / peak:.0%}" if peak else "",
        f"{Spread.of(run.processor / batch for run in found).middle:.2f}",
        *against,
        apart,
    ]


def peak_of(runs: Mapping[str, list[Run]], device: str) -> float:
    """GFLOP/s of the faster of the two matrix products, a median; 0 where neither ran."""
    gigaflop = matrix_operations(device) / 1e9
    speeds = [
        Spread.of(gigaflop / run.seconds for run in found).middle
        for name, found in runs.items()
        if name.endswith("matrices")
    ]
    return max(speeds, default=0.0)


def remarks(
    gigaflop: float,
    as_written: float,
    peaks: list[float],
    workers: Mapping[str, Worker],
    missing: Mapping[str, str],
) -> list[str]:
    """What a reader must know of the table."""
    lines = [
        f"A clip needs {gigaflop:.3g} GFLOP ({as_written:.3g} as Keras computes it); the peak of "
        f"float32 matrix products beside each batch size: "
        f"{', '.join(f'{peak:.0f}' for peak in peaks)} GFLOP/s. *From torch*: largest difference "
        "of a score from PyTorch's on the same clips.",
        "Ran: " + "; ".join(f"{name}: {worker.runs_on}" for name, worker in workers.items()) + ".",
    ]
    if missing:
        reasons = "; ".join(f"{name} ({reason})" for name, reason in missing.items())
        lines.append(f"Not run: {reasons}.")
    return lines


def main() -> int:
    """Measure and print."""
    return command("classifier", __doc__, arguments, measure)


if __name__ == "__main__":
    sys.exit(main())
