"""A model that is evaluated: the folder of a training run, or an ONNX file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from model_export.data.prepared import PreparedDataset
from model_export.detector import Detector
from model_export.errors import EvaluationError
from model_export.evaluation.methods import in_words
from model_export.evaluation.opening import open_onnx, open_run
from model_export.evaluation.overlap import Met, met
from model_export.evaluation.scores import Scorer, classifier_scorer, demand_fit, network_scorer
from model_export.training.ancestry import Ancestry
from service.classifier.contract import OperatingPoint
from service.session import Device


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
        return f"{self.strategy} {in_words(self.trained_on, self.transferred_to)}"


@dataclass(frozen=True, slots=True)
class Network:
    """What a white-box attack needs: a detector, its scaling by name, its frames T."""

    detector: Detector
    scaling: str
    length: int


@dataclass(frozen=True, slots=True)
class Subject:
    """``seed`` and ``network`` are None for ONNX models, ``lineage`` where nobody said it.

    ``point`` is the operating point in the model's own contract, None where it has none; ``met``
    are the people it was trained with, nobody where that is not known.
    """

    name: str
    path: Path
    architecture: str
    scorer: Scorer
    seed: int | None = None
    lineage: Lineage | None = None
    network: Network | None = None
    point: OperatingPoint | None = None
    met: Met = field(default_factory=Met)

    @property
    def kind(self) -> str:
        """What models share that may be averaged: the network, and what it was trained on. A model
        of which that is not known is of a kind of its own."""
        return f"{self.architecture}, {self.lineage or f'{self.path}, trained on unknown methods'}"


def open_subject(
    path: Path,
    dataset: PreparedDataset,
    device: Device = "auto",
    trained_on: Sequence[str] = (),
) -> Subject:
    """Open a run (its best weights) or an ONNX model that takes the clips of ``dataset``.

    ``trained_on`` says it where the model does not: an ONNX file tells it only in free text, a run
    not at all where what it started from is gone.
    Raises ``EvaluationError`` naming what cannot be opened or does not fit, ``TrainingError`` for a
    run without weights.
    """
    subject = _run(path, dataset, device) if path.is_dir() else _onnx(path, dataset, device)
    if trained_on:
        return replace(subject, lineage=Lineage(tuple(trained_on)))
    return subject


def lineage(found: Ancestry) -> Lineage | None:
    """What a run was trained on, its earlier stages included; None where what it started from is
    not known."""
    if not found.complete:
        return None
    first, *later = (set(record.config.data.videos) for record in reversed(found.records))
    return Lineage(tuple(sorted(first)), tuple(sorted(set().union(*later) - first)))


def _run(folder: Path, dataset: PreparedDataset, device: Device) -> Subject:
    run = open_run(folder)
    detector, config, length = run.detector, run.config, run.spec.length
    demand_fit(config.name, run.spec, dataset)
    detector.to(_device(device)).eval()
    return Subject(
        name=config.name,
        path=folder,
        architecture=config.model.architecture,
        scorer=network_scorer(detector, config.model.scaling, length),
        seed=config.seed,
        lineage=lineage(run.ancestry),
        network=Network(detector, config.model.scaling, length),
        met=met(run.ancestry.records),
    )


def _onnx(path: Path, dataset: PreparedDataset, device: Device) -> Subject:
    classifier = open_onnx(path, device)
    contract = classifier.contract
    point = contract.operating_point
    return Subject(
        name=contract.name,
        path=path,
        architecture=contract.architecture,
        scorer=classifier_scorer(classifier, path, dataset),
        point=None if point == OperatingPoint() else point,
    )


def _device(device: Device) -> torch.device:
    if device == "cuda" and not torch.cuda.is_available():
        raise EvaluationError("there is no CUDA device here")
    return torch.device("cpu" if device == "cpu" or not torch.cuda.is_available() else "cuda")
