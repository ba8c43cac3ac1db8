"""All benchmarks, one after the other, into one table of results.

    python -m benchmarks [--output FILE] [--keep FOLDER] [--minutes 20] [--only NAME ...] [--quick]

Each is ``python -m benchmarks.NAME`` in a process of its own, with small parameters; what one
prints comes below its command. One that cannot run or breaks a promise is said to, the rest goes
on, and the exit status is 1. After so many minutes none is begun any more. ``--keep`` spares the
classifier's exports, which take minutes, the next time. ``--quick`` measures next to nothing: it
shows that everything runs.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import track

from benchmarks.machine import machine
from benchmarks.worker import ROOT


@dataclass(frozen=True)
class Benchmark:
    """A command, its parameters here, and those for a quick look."""

    name: str
    arguments: str = ""
    quick: str = ""


BENCHMARKS: Sequence[Benchmark] = (
    # torch.compile takes minutes for the full network: `benchmarks.classifier` has it.
    Benchmark(
        "classifier",
        "--network full --batches 1 --without torch.compile",
        "--network small --batches 1 --rounds 1 --without torch.compile",
    ),
    Benchmark(
        "peers",
        "--rounds 2 --seconds 1 --faces 2",
        "--rounds 1 --videos 2 --clients 2 --seconds 0.4",
    ),
    Benchmark("throughput", "--rounds 3 --videos 1", "--rounds 1 --videos 1 --seconds 1"),
    Benchmark(
        "fairness",
        "--rounds 2 --short 10",
        "--rounds 1 --short 2 --seconds 0.4 --long 10 --settle 1",
    ),
    Benchmark("service_load", "--seconds 7", "--seconds 3 --rounds 1 --shares 0.5 --video 0.4"),
    Benchmark(
        "growth",
        "--rounds 2 --lengths 2 8 --faces 1 6 --clients 1 4",
        "--rounds 1 --lengths 1 2 --faces 1 2 --clients 1 2 --seconds 0.4",
    ),
    Benchmark("startup", "--rounds 3", "--rounds 1"),
    Benchmark("stages", "--rounds 3 --lengths 10", "--rounds 1 --lengths 10"),
    Benchmark("sandbox", "--repeats 3", "--repeats 1"),
    Benchmark(
        "classifier",
        "--network box --batches 1 8 --rounds 5 --without torch.compile",
        "--network box --batches 1 --rounds 1 --without torch.compile",
    ),
)


def main() -> int:
    """Run and write."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--output", type=Path, help="Markdown file; printed without")
    parser.add_argument("--keep", type=Path, help="folder for the classifier's models")
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--quick", action="store_true", help="show that everything runs")
    names = sorted({each.name for each in BENCHMARKS})
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="NAME")
    given = parser.parse_args()
    chosen = [each for each in BENCHMARKS if each.name in given.only]
    before, began, failed = machine(), time.monotonic(), False
    parts = []
    for benchmark in track(chosen, "benchmarks", console=Console(stderr=True)):
        words = command(benchmark, given.quick, given.keep)
        start = time.monotonic()
        if start - began > 60 * given.minutes:
            text, well = "Not run: the time was up.\n", False
        else:
            text, well = run(words)
        took = f"{time.monotonic() - start:.0f} s"
        parts.append(f"## `python {' '.join(words)}` ({took})\n\n{text}")
        failed |= not well
    head = f"`{before}`; {time.monotonic() - began:.0f} s in all\n"
    document = "\n".join([head, *parts])
    if given.output:
        given.output.write_text(document)
    else:
        print(document)
    return int(failed)


def command(benchmark: Benchmark, quick: bool, keep: Path | None) -> list[str]:
    """What Python is started with for one of them."""
    options = (benchmark.quick if quick else benchmark.arguments).split()
    kept = ["--keep", str(keep)] if keep and benchmark.name == "classifier" else []
    return ["-m", f"benchmarks.{benchmark.name}", *options, *kept]


def run(words: Sequence[str]) -> tuple[str, bool]:
    """What one printed, and whether it ended well."""
    done = subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True)
    text = done.stdout.strip()
    if "\n### " not in text:
        text = f"```\n{text}\n```"
    if done.returncode:
        text += f"\n\n**Ended with status {done.returncode}.**"
        if words_of_error := done.stderr.strip().splitlines():
            text += f" Its last words: {words_of_error[-1]}"
    return text + "\n", done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
