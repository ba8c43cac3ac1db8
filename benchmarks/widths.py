"""What a user trades: size, speed and accuracy of CLRNets by their width and input.

    python -m benchmarks.widths [--filters 4 8 16 32 64] [--sides 128 240] [--rounds 3]
        [--keep FOLDER] [--threads 2]
    python -m benchmarks.widths --learn PREPARED --work FOLDER [--filters 4 8 16]
        [--methods DF F2F NT] [--seeds 0 1 2]

The first measures the released network with other numbers of initial filters, random weights,
exported and run as it is served, all in turns. The second trains each width from random weights as
``deepfake-models reproduce --budget small`` does, on the clips that this prepared, one method at a
time, and gives the AUC of clips of the test people; what is trained already is used again.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from functools import partial
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory

from rich.console import Console

from benchmarks.pairs import Spread, in_turns
from benchmarks.report import Section, command
from benchmarks.worker import ROOT, Run, Task, Worker
from model_export.data.prepared import PreparedDataset
from model_export.data.video import REAL
from model_export.experiments.budget import Budget, load_budget
from model_export.experiments.laboratory import Laboratory
from model_export.experiments.strategy import from_scratch
from service.measures.metrics import measure as measured

NETWORK = "clrnet"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Of the command line."""
    parser.add_argument("--filters", type=int, nargs="+", default=[4, 8, 16, 32, 64])
    parser.add_argument("--sides", type=int, nargs="+", default=[128, 240])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--keep", type=Path, help="folder for the models, to be used again")
    parser.add_argument("--learn", type=Path, help="prepared clips of the synthetic benchmark")
    parser.add_argument("--work", type=Path, help="folder for what is trained")
    parser.add_argument("--methods", nargs="+", default=["DF", "F2F", "NT"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])


def measure(given: argparse.Namespace) -> list[Section]:
    """One table."""
    return [accuracy(given) if given.learn else speed(given)]


def speed(given: argparse.Namespace) -> Section:
    """Size and speed."""
    section = Section(
        f"CLRNet by width and input, {given.threads} threads, batch 1",
        ["initial filters", "input", "MB", "GFLOP a clip", "clips/s", "GFLOP/s"],
    )
    with TemporaryDirectory() as scratch:
        folders = {
            (filters, side): (given.keep or Path(scratch)) / f"{filters}x{side}"
            for side in given.sides
            for filters in given.filters
        }
        for (filters, side), folder in folders.items():
            # In a process of its own: what PyTorch holds ends with it.
            subprocess.run(
                [sys.executable, "-m", "benchmarks.networks", f"{filters}x{side}", folder],
                cwd=ROOT,
                check=True,
                stdout=subprocess.DEVNULL,
            )
        for (filters, side), found in in_turns(
            {size: partial(run, given, *size, folder) for size, folder in folders.items()},
            given.rounds,
            "networks",
        ).items():
            folder = folders[filters, side]
            gigaflop = json.loads((folder / "network.json").read_text())["needed"] / 1e9
            rate = Spread.of(1 / each.seconds for each in found)
            section.rows.append(
                [
                    str(filters),
                    f"{side} px",
                    f"{(folder / 'ours.onnx').stat().st_size / 1e6:.1f}",
                    f"{gigaflop:.3g}",
                    rate.text(2),
                    f"{rate.middle * gigaflop:.0f}",
                ]
            )
    return section


def run(given: argparse.Namespace, filters: int, side: int, folder: Path) -> Run:
    """The second clip of a process that has just been started: ten at once would not fit."""
    network = json.loads((folder / "network.json").read_text())
    task = Task(str(folder), network["frames"], side, given.threads, "cpu")
    worker = Worker("benchmarks.ways.ours", task)
    try:
        worker.run(1)
        return min((worker.run(1) for _ in range(3)), key=lambda each: each.seconds)
    finally:
        worker.close()


def accuracy(given: argparse.Namespace) -> Section:
    """AUC of test people's clips, after training on one method at a time."""
    if given.work is None:
        raise SystemExit("--learn needs --work, a folder for what is trained")
    dataset, console = PreparedDataset(given.learn), Console(stderr=True)
    section = Section(
        f"CLRNet at {dataset.preparation.size} pixels by width: clip AUC of {len(given.seeds)} "
        "seed(s) (lowest to highest) after training on one method",
        ["initial filters", *given.methods, "mean"],
    )
    for filters in given.filters:
        laboratory = Laboratory(dataset, wide(filters), given.work / f"f{filters}", console)
        row = [laboratory_auc(laboratory, method, given.seeds) for method in given.methods]
        overall = mean(value for values in row for value in values)
        cells = [Spread.of(values).text(3) for values in row]
        section.rows.append([str(filters), *cells, f"{overall:.3f}"])
    section.remarks.append(f"Data: {dataset.preparation.origin}.")
    return section


def wide(filters: int) -> Budget:
    """The small budget with a CLRNet of that many initial filters."""
    budget = load_budget("small")
    model = budget.model(NETWORK)
    options = {**model.options, "initial_filters": filters}
    changed = model.model_copy(update={"options": options})
    return budget.model_copy(update={"models": {NETWORK: changed}})


def laboratory_auc(laboratory: Laboratory, method: str, seeds: list[int]) -> list[float]:
    """Of each seed."""
    found = []
    for seed in seeds:
        trained = laboratory.train(NETWORK, from_scratch([method]), seed)
        table = laboratory.scores(trained).select(methods=[method, REAL])
        value = measured(table, "clip").auc.value
        assert value is not None, "the test part has both kinds"
        found.append(value)
    return found


def main() -> int:
    """Measure and print."""
    return command("widths", __doc__, arguments, measure)


if __name__ == "__main__":
    sys.exit(main())
