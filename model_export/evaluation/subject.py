"""A model that is evaluated: the folder of a training run, or an ONNX file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from model_export.data.prepared import PreparedDataset
from model_export.detector import Detector
from model_export.errors import EvaluationError
from model_export.evaluation.scores import Scorer, demand_fit, network_scorer, onnx_scorer
from model_export.training.checkpoint import load_run
from model_export.training.run_folder import read_record
from service.classifier.classifier import load_classifier
from service.classifier.contract import OperatingPoint
from service.clips import ClipSpec
from service.errors import ModelError
from service.runtime import Device


@dataclass(frozen=True, slots=True)
class Lineage:
    """What a model was trained on from scratch, for a transfer its source, and then moved to."""

    trained_on: tuple[str, ...]
    transferred_to: tuple[str, ...] = ()

    @property
    def strategy(self) -> str:
        """``single``, ``merge`` or ``transfer``."""
        if self.transferred_to:
            return "transfer"
        return "merge" if len(self.trained_on) > 1 else "single"

    def __str__(self) -> str:
        """As the papers write it: ``transfer FS->DF+NT``."""
        text = f"{self.strategy} {'+'.join(self.trained_on)}"
        return f"{text}->{'+'.join(self.transferred_to)}" if self.transferred_to else text


@dataclass(frozen=True, slots=True)
class Network:
    """What a white-box attack needs: a detector, its scaling by name, its frames T."""

    detector: Detector
    scaling: str
    length: int


@dataclass(frozen=True, slots=True)
class Subject:
    """``seed`` and ``network`` are None for ONNX models, ``lineage`` where nobody said it;
    ``point`` is the operating point in the model's own contract, None where it has none."""

    name: str
    path: Path
    architecture: str
    scorer: Scorer
    seed: int | None = None
    lineage: Lineage | None = None
    network: Network | None = None
    point: OperatingPoint | None = None


def open_subject(
    path: Path,
    dataset: PreparedDataset,
    device: Device = "auto",
    trained_on: Sequence[str] = (),
) -> Subject:
    """Open a run (its best weights) or an ONNX model that takes the clips of ``dataset``.

    ``trained_on`` says it where the model does not: an ONNX file tells it only in free text.
    Raises ``EvaluationError`` naming what cannot be opened or does not fit, ``TrainingError`` for a
    run without weights.
    """
    subject = _run(path, dataset, device) if path.is_dir() else _onnx(path, dataset, device)
    if trained_on:
        return replace(subject, lineage=Lineage(tuple(trained_on)))
    return subject


def lineage(folder: Path) -> Lineage:
    """What a run was trained on, its earlier stages included. Raises ``TrainingError``."""
    config = read_record(folder).config
    own = tuple(config.data.videos)
    start = config.init.weights
    if start is None or not start.is_dir():
        return Lineage(tuple(sorted(own)))
    before = lineage(start)
    new = set(own) - {*before.trained_on, *before.transferred_to}
    return replace(before, transferred_to=tuple(sorted({*before.transferred_to, *new})))


def _run(folder: Path, dataset: PreparedDataset, device: Device) -> Subject:
    detector, config = load_run(folder)
    made, length = read_record(folder).preparation, config.model.length or detector.clip_length
    size = config.model.size
    demand_fit(config.name, ClipSpec(length, size, size, made.margin, made.alignment), dataset)
    detector.to(_device(device)).eval()
    return Subject(
        name=config.name,
        path=folder,
        architecture=config.model.architecture,
        scorer=network_scorer(detector, config.model.scaling, length),
        seed=config.seed,
        lineage=lineage(folder),
        network=Network(detector, config.model.scaling, length),
    )


def _onnx(path: Path, dataset: PreparedDataset, device: Device) -> Subject:
    try:
        contract = load_classifier(path, device=device).contract
    except ModelError as error:
        raise EvaluationError(f"{path} is no run's folder, and {error}") from error
    point = contract.operating_point
    return Subject(
        name=contract.name,
        path=path,
        architecture=contract.architecture,
        scorer=onnx_scorer(path, dataset, device),
        point=None if point == OperatingPoint() else point,
    )


def _device(device: Device) -> torch.device:
    if device == "cuda" and not torch.cuda.is_available():
        raise EvaluationError("there is no CUDA device here")
    return torch.device("cpu" if device == "cpu" or not torch.cuda.is_available() else "cuda")
