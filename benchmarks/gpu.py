"""The classifier on a GPU: what holds it back, and how far it is from what the card can do.

    python -m benchmarks.gpu [--device cuda] [--network full] [--batches 1 2 4 8 16 32]
        [--rounds 5] [--keep FOLDER] [--compile]

On a machine with an NVIDIA GPU, in an environment of its own: ``scripts/setup dev``, then
onnxruntime taken out and what ``requirements/gpu.txt`` pins put in (``pip uninstall onnxruntime``,
``pip install --no-deps --require-hashes -r requirements/gpu.txt``); for TensorRT its libraries on
the loader's path. What cannot run is listed with its reason; nothing stands in for it.

Each way has a process of its own and scores the same clips in turn. Its share is of the card's rate
for products of 8192 x 8192 matrices, in the fastest of three types, measured in the same
rounds, and counts the operations that the network needs. The goals are half of that rate, five
times PyTorch in float32 and twice what ``torch.onnx.export`` makes of it in ONNX Runtime.

``--device cpu`` tries the same out on the CPU provider and says nothing of a GPU; matrices are
multiplied in float32 alone there, since processors may take minutes for the others.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import profiled
from benchmarks.classifier import TITLES, Loaded, running, timed
from benchmarks.pairs import Spread, ratios
from benchmarks.report import Section, command
from benchmarks.ways import matrix_operations
from benchmarks.worker import ROOT, Run, Task, Worker

BASE, NAIVE, BEST = "torch float32", "naive ONNX", "float16"
KINDS = ("float16", "bfloat16", "float32")
GOALS = {"share": 0.5, BASE: 5.0, NAIVE: 2.0}
_WARM = 3
"""Runs before any counts: the first finds algorithms, the second records a CUDA graph."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Of the command line."""
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cuda")
    parser.add_argument("--network", choices=sorted(TITLES), default="full")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 2, 4, 8, 16, 32])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--keep", type=Path, help="folder for the models, to be used again")
    parser.add_argument("--compile", action="store_true", help="torch.compile too, for minutes")


def measure(given: argparse.Namespace) -> list[Section]:
    """A table of speeds, and one of what takes the time."""
    with TemporaryDirectory() as scratch:
        folder = (given.keep or Path(scratch)) / given.network
        # In a process of its own: PyTorch's threads and the weights end with it.
        subprocess.run(
            [sys.executable, "-m", "benchmarks.half_networks", given.network, folder],
            cwd=ROOT,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        network = json.loads((folder / "network.json").read_text())
        size = (network["frames"], network["side"])
        with running(starts(given, folder, size)) as ways:
            speeds = table(given, network["needed"], ways)
        hottest = [
            profiled.section(folder / name, *size, max(given.batches), given.device)
            for name in ("half.onnx", "plain.onnx")
        ]
        return [speeds, *hottest]


def starts(
    given: argparse.Namespace, folder: Path, size: tuple[int, int]
) -> dict[str, Callable[[], Worker]]:
    """What begins each way."""

    def start(
        module: str, path: Path | str, variant: str = "", runtime: str = "onnxruntime"
    ) -> Callable[[], Worker]:
        task = Task(str(path), *size, given.threads, given.device, runtime, variant)
        return partial(Worker, f"benchmarks.ways.{module}", task)

    plain, half = folder / "plain.onnx", folder / "half.onnx"
    compiled = ("float32 compiled", "float16 compiled") if given.compile else ()
    return {
        BASE: start("eager", folder),
        **{
            f"torch {kind}, channels last": start("eager_half", folder, kind)
            for kind in (*KINDS, *compiled)
        },
        NAIVE: start("naive", folder),
        "float32, not bound": start("bound", plain, "unbound"),
        "float32": start("bound", plain, "bound"),
        "float16, not bound": start("bound", half, "unbound"),
        BEST: start("bound", half, "bound"),
        "float16, CUDA graphs": start("bound", half, "graphs"),
        "float32, TensorRT": start("bound", plain, "bound", "tensorrt"),
        "float16, TensorRT": start("bound", half, "bound", "tensorrt"),
        **{
            f"{kind} matrices": start("matrix", "torch", kind)
            for kind in (KINDS if given.device == "cuda" else ("float32",))
        },
    }


def table(given: argparse.Namespace, needed: float, ways: Loaded) -> Section:
    """Measure every batch size in turns, and hold the best against the goals."""
    workers, missing = dict(ways.workers), dict(ways.missing)
    section = Section(
        f"On {given.device}: {TITLES[given.network]}",
        (
            *("way", "batch", "clips/s", "GFLOP/s", "share of the rate"),
            *(f"times {BASE}", f"times {NAIVE}", "from torch"),
        ),
    )
    best: dict[str, float] = {}
    peaks = []
    for batch in given.batches:
        runs = timed(workers, missing, batch, given.rounds, _WARM)
        rates = rates_of(runs, given.device)
        peaks.append(f"{batch}: " + ", ".join(f"{kind} {rate:.0f}" for kind, rate in rates.items()))
        for name, found in runs.items():
            if not name.endswith("matrices"):
                figures = compared(batch, found, runs, needed, rates)
                section.rows.append(row(name, batch, found, runs, figures, needed))
                if ways_of_ours(name):
                    for goal, value in figures.items():
                        best[goal] = max(best.get(goal, 0.0), value.middle)
    section.remarks = [
        f"A clip needs {needed / 1e9:.3g} GFLOP. Matrix products beside each batch, GFLOP/s: "
        f"{'; '.join(peaks)}. *From torch*: largest difference of P(fake) from PyTorch's in "
        "float32 on the same clips.",
        "Ran: " + "; ".join(f"{name}: {worker.runs_on}" for name, worker in workers.items()) + ".",
        verdict(best, given.device),
    ]
    if missing:
        reasons = "; ".join(f"{name} ({reason})" for name, reason in missing.items())
        section.remarks.append(f"Not run: {reasons}.")
    return section


def ways_of_ours(name: str) -> bool:
    """Whether a way is this project's."""
    return name.partition(",")[0] in ("float16", "float32")


def rates_of(runs: Mapping[str, list[Run]], device: str) -> dict[str, float]:
    """GFLOP/s of the matrix products by type, medians, of those that ran."""
    gigaflop = matrix_operations(device) / 1e9
    return {
        kind: Spread.of(gigaflop / run.seconds for run in runs[f"{kind} matrices"]).middle
        for kind in KINDS
        if f"{kind} matrices" in runs
    }


def compared(
    batch: int,
    found: list[Run],
    runs: Mapping[str, list[Run]],
    needed: float,
    rates: Mapping[str, float],
) -> dict[str, Spread]:
    """Of one way at one batch size what ``GOALS`` are about, as far as that was measured."""
    seconds = [run.seconds for run in found]
    figures = {
        base: ratios([run.seconds for run in runs[base]], seconds)
        for base in (BASE, NAIVE)
        if base in runs
    }
    if rates:
        rate = max(rates.values())
        figures["share"] = Spread.of(batch * needed / 1e9 / each / rate for each in seconds)
    return figures


def row(
    name: str,
    batch: int,
    found: list[Run],
    runs: Mapping[str, list[Run]],
    figures: Mapping[str, Spread],
    needed: float,
) -> list[str]:
    """One way at one batch size."""
    speed = Spread.of(batch / run.seconds for run in found)
    apart = ""
    if BASE in runs:
        pairs = zip(runs[BASE][0].scores, found[0].scores, strict=True)
        apart = f"{max(abs(one - other) for one, other in pairs):.1e}"
    return [
        *(name, str(batch), speed.text(1), f"{speed.middle * needed / 1e9:.0f}"),
        f"{figures['share'].middle:.1%}" if "share" in figures else "",
        *(figures[base].text() if base in figures else "" for base in (BASE, NAIVE)),
        apart,
    ]


def verdict(best: Mapping[str, float], device: str) -> str:
    """Which goals the best batch reaches."""
    if device != "cuda":
        return (
            "**On the CPU provider: this says nothing of a GPU, and no goal is held against it.**"
        )
    words = [
        f"{goal} {best[goal]:.2f} of {least:g}: {'reached' if best[goal] >= least else 'missed'}"
        if goal in best
        else f"{goal}: not measured"
        for goal, least in GOALS.items()
    ]
    return f"Goals, each at its best: {'; '.join(words)}."


def main() -> int:
    """Measure and print."""
    return command("gpu", __doc__, arguments, measure)


if __name__ == "__main__":
    sys.exit(main())
