"""A model that keeps the contract, such as this project's export, in the service's own classifier.

On a GPU its input and outputs are bound to the GPU's memory; ``bound`` beside this one has
variants.
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray

from benchmarks.worker import Task, Way
from service.classifier.classifier import load_classifier
from service.session import Arithmetic


def load(task: Task) -> Way:
    """The classifier; refuses a device or a runtime that cannot be had."""
    path = Path(task.path)
    classifier = load_classifier(
        path / "ours.onnx" if path.is_dir() else path,
        device=cast(Literal["cpu", "cuda"], task.device),
        threads=task.threads,
        runtime=cast(Literal["onnxruntime", "openvino"], task.runtime),
        arithmetic=cast(Arithmetic, task.arithmetic),
    )

    def score(clips: NDArray[np.uint8]) -> NDArray[np.float32]:
        return classifier.score(clips).fake

    return Way(f"{task.runtime} {version(task.runtime)}, {classifier.provider}", score)
