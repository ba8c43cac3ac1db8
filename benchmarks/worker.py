"""A way of scoring clips in a process of its own, which loads once and runs when it is asked.

TensorFlow, PyTorch and ONNX Runtime each bring threads that stand in the others' way, and
TensorFlow has an environment to itself. So each way is a module of ``benchmarks.ways`` with

    def load(task: Task) -> Way

and this module is both ends of the pipe to it: lines of JSON, one answer to each question.

    python -m benchmarks.worker MODULE TASK
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parent.parent


class NotRun(Exception):
    """A way that cannot be measured here, and why."""


@dataclass(frozen=True)
class Task:
    """What a way is to load."""

    path: str
    """A folder of ``benchmarks.networks``, or a model file where the way takes one."""
    frames: int
    side: int
    threads: int
    device: str
    """``cpu`` or ``cuda``."""
    runtime: str = "onnxruntime"
    """Where the way leaves a choice: that or another of ``service.runtime``'s."""
    arithmetic: str = "float32"
    """Likewise."""
    variant: str = ""
    """Where a way's module says that it has some."""


@dataclass(frozen=True)
class Way:
    """A loaded way. ``score`` takes uint8 (N, T, H, W, 3) RGB and gives float32 (N,), on the host
    and finished when it returns; ``runs_on`` says what computed."""

    runs_on: str
    score: Callable[[NDArray[np.uint8]], NDArray[np.float32]]


LEAST = 0.5
"""Seconds that a batch is scored for, as often as need be."""


@dataclass(frozen=True)
class Run:
    """One batch: seconds by the clock and of processor time, and the scores. The mean of as many
    times as fill half a second: a few milliseconds measured once are mostly chance."""

    seconds: float
    processor: float
    scores: list[float]


class Worker:
    """The asking end. Raises ``NotRun`` with the other end's reason whenever that fails."""

    def __init__(self, module: str, task: Task, python: Path | None = None) -> None:
        interpreter = python or Path(sys.executable)
        if not interpreter.exists():
            raise NotRun(f"{interpreter} is missing: `scripts/setup benchmarks`")
        # TensorFlow and OpenMP read their numbers of threads when they are loaded.
        threads = {
            name: str(task.threads)
            for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
        }
        self._process = subprocess.Popen(
            [interpreter, "-m", "benchmarks.worker", module, json.dumps(asdict(task))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **threads, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"},
            text=True,
        )
        try:
            self.runs_on = str(self._answer()["runs_on"])
        except NotRun:
            self.close()
            raise

    def run(self, batch: int) -> Run:
        """Score a batch of so many clips, the same ones each time."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps({"batch": batch}) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise NotRun("its process ended") from error
        return Run(**self._answer())

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise NotRun(f"its process ended with status {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise NotRun(answer["error"])
        return answer


def clips(batch: int, frames: int, side: int) -> NDArray[np.uint8]:
    """Noise, uint8 (N, T, H, W, 3), the same in every process."""
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (batch, frames, side, side, 3), dtype=np.uint8)


def main(module: str, task: Task) -> None:
    """The answering end, until its input ends."""
    # What libraries print must not get between the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def tell(**answer: object) -> None:
        answers.write(json.dumps(answer) + "\n")
        answers.flush()

    try:
        way: Way = importlib.import_module(module).load(task)
        tell(runs_on=way.runs_on)
        for line in sys.stdin:
            given = clips(json.loads(line)["batch"], task.frames, task.side)
            began, used, times = time.perf_counter(), time.process_time(), 0
            while times == 0 or time.perf_counter() - began < LEAST:
                scores = way.score(given)
                times += 1
            tell(
                seconds=(time.perf_counter() - began) / times,
                processor=(time.process_time() - used) / times,
                scores=scores.tolist(),
            )
    except Exception as error:
        tell(error=f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}")


if __name__ == "__main__":
    main(sys.argv[1], Task(**json.loads(sys.argv[2])))
