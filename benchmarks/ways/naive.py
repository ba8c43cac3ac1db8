"""ONNX Runtime on ``naive.onnx``, or on another file with the same input and P(fake) first."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from benchmarks.worker import NotRun, Task, Way


def load(task: Task) -> Way:
    """A session with default options but the number of threads."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = task.threads
    options.log_severity_level = 3
    provider = "CUDAExecutionProvider" if task.device == "cuda" else "CPUExecutionProvider"
    if task.device == "cuda":
        onnxruntime.preload_dlls()
    path = Path(task.path)
    file = path / "naive.onnx" if path.is_dir() else path
    session = onnxruntime.InferenceSession(str(file), options, providers=[provider])
    # It falls back to the CPU without a word.
    if session.get_providers()[0] != provider:
        raise NotRun(f"ONNX Runtime has no {provider}")
    (name,) = (each.name for each in session.get_inputs())
    first = session.get_outputs()[0].name

    def score(clips: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.asarray(session.run([first], {name: clips})[0], np.float32)

    return Way(f"ONNX Runtime {onnxruntime.__version__}, {provider}", score)
