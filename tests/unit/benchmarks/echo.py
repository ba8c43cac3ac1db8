"""A way for tests: scores are means of the clips; three of them are too many."""

from __future__ import annotations

import os

import numpy as np
from numpy.typing import NDArray

from benchmarks.worker import NotRun, Task, Way


def load(task: Task) -> Way:
    """Refuses a GPU."""
    if task.device == "cuda":
        raise NotRun("no GPU\nand a long explanation")
    os.write(1, b"libraries print what they like\n")

    def score(clips: NDArray[np.uint8]) -> NDArray[np.float32]:
        if len(clips) == 3:
            os._exit(7)
        return np.asarray(clips.mean(axis=(1, 2, 3, 4)), np.float32)

    return Way(f"{task.threads} threads", score)
