"""A model file in the service's session on a GPU; on the CPU the same session in its memory.

``variant``: ``bound``, ``graphs`` (CUDA graphs), or ``unbound``, which leaves input and outputs to
ONNX Runtime.
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import cast

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from benchmarks.worker import Task, Way
from service.bound_session import BoundSession
from service.classifier.contract import INPUT_NAME, PROBABILITY_NAME
from service.runtime import Gpu, open_session
from service.session import Device, Runtime, Session

LARGEST = 32


def load(task: Task) -> Way:
    """The session; refuses what cannot be had."""
    gpu = Gpu(LARGEST, graphs=task.variant == "graphs")
    session: Session = open_session(
        Path(task.path).read_bytes(),
        device=cast(Device, task.device),
        threads=task.threads,
        runtime=cast(Runtime, task.runtime),
        gpu=None if task.variant == "unbound" else gpu,
    )
    if task.device == "cpu" and task.variant != "unbound":
        session = BoundSession(session, "cpu", LARGEST)

    def score(clips: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.asarray(session.run([PROBABILITY_NAME], {INPUT_NAME: clips})[0], np.float32)

    package = "onnxruntime-gpu" if task.device == "cuda" else "onnxruntime"
    assert version(package) == onnxruntime.__version__
    return Way(f"{package} {version(package)}, {session.get_providers()[0]}", score)
