"""A float32 model and its int8 version, in both runtimes and in turns, on two threads.

python -m benchmarks.fast_mode mine.onnx mine-int8.onnx
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.pairs import Spread, in_turns, ratios
from benchmarks.report import Section, command
from service.classifier.classifier import Classifier, load_classifier
from service.session import Runtime

THREADS = 2
RUNTIMES: tuple[Runtime, ...] = ("onnxruntime", "openvino")
HEADER = ("batch", "what", "ms a clip", "of processor", "times as fast", "by processor time")


def arguments(parser: argparse.ArgumentParser) -> None:
    """What may be chosen."""
    parser.add_argument("source", type=Path, help="float32 model")
    parser.add_argument("fast", type=Path, help="the same in int8")
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 4])


def measure(chosen: argparse.Namespace) -> list[Section]:
    """One row for each model in each runtime; the first is what the others are held against."""
    opened = {
        f"{path.name}, {runtime}": load_classifier(
            path, device="cpu", threads=THREADS, runtime=runtime
        )
        for path in (chosen.source, chosen.fast)
        for runtime in RUNTIMES
    }
    first = next(iter(opened))
    told = opened[first].contract
    rng = np.random.default_rng(0)
    section = Section(f"{told.name} in fast mode", HEADER)
    for batch in chosen.batches:
        shape = (batch, told.clip_length, told.input_height, told.input_width, 3)
        clips = rng.integers(0, 256, shape, dtype=np.uint8)
        for each in opened.values():
            each.score(clips)
        ways: dict[str, Callable[[], tuple[float, float]]] = {
            name: partial(timed, each, clips) for name, each in opened.items()
        }
        columns = {
            name: list(zip(*each, strict=True))
            for name, each in in_turns(ways, chosen.rounds).items()
        }
        for name, ours in columns.items():
            spent = [f"{1000 * Spread.of(each).middle:.0f}" for each in ours]
            both = zip(columns[first], ours, strict=True)
            faster = [ratios(theirs, each).text() for theirs, each in both]
            section.rows.append((str(batch), name, *spent, *faster))
    return [section]


def timed(classifier: Classifier, clips: NDArray[np.uint8]) -> tuple[float, float]:
    """Seconds for each clip: by the clock, and of processor, all threads together."""
    clock, processor = time.perf_counter(), time.process_time()
    classifier.score(clips)
    clock, processor = time.perf_counter() - clock, time.process_time() - processor
    return clock / len(clips), processor / len(clips)


def main() -> int:
    """Measure and print."""
    return command("fast_mode", __doc__, arguments, measure)


if __name__ == "__main__":
    sys.exit(main())
