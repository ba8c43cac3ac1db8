"""Opening a model: the folder of a training run, or an ONNX file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from model_export.errors import EvaluationError
from service.classifier.classifier import Classifier, load_classifier
from service.clips import ClipSpec
from service.errors import ModelError
from service.session import Device

if TYPE_CHECKING:
    from model_export.detector import Detector
    from model_export.training.ancestry import Ancestry
    from model_export.training.config import RunConfig


@dataclass(frozen=True, slots=True)
class OpenedRun:
    """``detector`` has the run's best weights, in evaluation mode on the CPU; ``spec`` says which
    clips it takes."""

    detector: Detector
    config: RunConfig
    spec: ClipSpec
    ancestry: Ancestry


def open_run(folder: Path) -> OpenedRun:
    """Open a run's folder. Raises ``TrainingError`` where it is none or has no weights yet."""
    # Here, since PyTorch takes seconds and an ONNX model needs none of it.
    from model_export.training.ancestry import ancestry
    from model_export.training.checkpoint import load_run

    detector, config = load_run(folder)
    found = ancestry(folder)
    made, size = found.records[0].preparation, config.model.size
    length = config.model.length or detector.clip_length
    return OpenedRun(
        detector, config, ClipSpec(length, size, size, made.margin, made.alignment), found
    )


def open_onnx(path: Path, device: Device = "auto") -> Classifier:
    """Open an ONNX model as the service does. Raises ``EvaluationError`` naming the file."""
    try:
        return load_classifier(path, device=device)
    except ModelError as error:
        raise EvaluationError(f"{path} is no run's folder, and {error}") from error
