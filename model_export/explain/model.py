"""A model to be looked into: a training run or an ONNX file."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from model_export.data.prepared import Preparation
from model_export.errors import EvaluationError
from model_export.evaluation.opening import open_onnx, open_run
from service.classifier.classifier import ClipScores
from service.clips import ClipSpec
from service.errors import ServiceError

if TYPE_CHECKING:
    from model_export.onnx_export import ScoredClips


class Scorer(Protocol):
    """What ``service.classifier.classifier.Classifier`` does."""

    @property
    def has_cam(self) -> bool:
        """Whether there are class activation maps."""

    def score(self, clips: NDArray[np.uint8], *, cam: bool = False) -> ClipScores:
        """Score clips, uint8 (N, T, H, W, 3) RGB; the maps only when asked for."""


@dataclass(frozen=True, slots=True)
class OpenModel:
    """A model and the clips it takes."""

    name: str
    architecture: str
    spec: ClipSpec
    scorer: Scorer

    def seen(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """What the model sees of a stored clip, uint8 (T, H, W, 3) of one at least as long: the
        middle frames, as in every measurement."""
        skipped = (len(pixels) - self.spec.length) // 2
        return np.ascontiguousarray(pixels[skipped : skipped + self.spec.length])

    def score(self, pixels: NDArray[np.uint8]) -> float:
        """P(fake) of one stored clip. Raises ``EvaluationError`` where that is no probability."""
        return float(self._look(pixels, cam=False).fake[0])

    def maps(self, pixels: NDArray[np.uint8]) -> tuple[float, NDArray[np.float32]]:
        """P(fake) and the raw maps (T, h, w) of one stored clip. Raises as ``score`` does."""
        scores = self._look(pixels, cam=True)
        assert scores.cam is not None
        return float(scores.fake[0]), scores.cam[0]

    def _look(self, pixels: NDArray[np.uint8], *, cam: bool) -> ClipScores:
        try:
            return self.scorer.score(self.seen(pixels)[None], cam=cam)
        except ServiceError as error:
            raise EvaluationError(f"{self.name}: {error.detail}") from error

    def demand_fit(self, made: Preparation) -> None:
        """Raise ``EvaluationError`` where clips made like that are not what the model takes."""
        found = ClipSpec(made.length, made.size, made.size, made.margin, made.alignment)
        if found.length < self.spec.length or replace(found, length=self.spec.length) != self.spec:
            raise EvaluationError(
                f"{self.name} takes clips of {_words(self.spec)}, but the dataset has "
                f"{_words(found)}: prepare the videos as the model takes them"
            )

    def demand_cam(self) -> None:
        """Raise ``EvaluationError`` where the model has no class activation maps."""
        if not self.scorer.has_cam:
            raise EvaluationError(
                f"{self.name} is a {self.architecture} without class activation maps: only "
                "networks that end in global average pooling and one dense layer have them"
            )


def open_model(path: Path) -> OpenModel:
    """Open a run's folder, with its best weights, or an ONNX model.

    Raises ``EvaluationError`` naming what cannot be opened, ``TrainingError`` for a run that has
    no weights yet.
    """
    if path.is_dir():
        return _run(path)
    classifier = open_onnx(path)
    contract = classifier.contract
    return OpenModel(contract.name, contract.architecture, ClipSpec.of(contract), classifier)


def _run(folder: Path) -> OpenModel:
    from model_export.onnx_export import ScoredClips
    from model_export.scaling import SCALINGS

    run = open_run(folder)
    scorer = NetworkScorer(ScoredClips(run.detector, SCALINGS[run.config.model.scaling]))
    return OpenModel(run.config.name, run.detector.architecture, run.spec, scorer)


def _words(spec: ClipSpec) -> str:
    return (
        f"{spec.length} frames of {spec.height}x{spec.width} (margin {spec.margin:g}, aligned "
        f"{spec.alignment})"
    )


class NetworkScorer:
    """A PyTorch detector that scores as a ``Classifier`` does."""

    def __init__(self, model: ScoredClips) -> None:
        self._model = model.eval()

    @property
    def has_cam(self) -> bool:
        """Whether the network gives class activation maps."""
        return self._model.model.has_cam

    def score(self, clips: NDArray[np.uint8], *, cam: bool = False) -> ClipScores:
        """Score clips, uint8 (N, T, H, W, 3) RGB; the maps only when asked for."""
        import torch

        with torch.inference_mode():
            fake, *maps = (each.numpy() for each in self._model(torch.from_numpy(clips)))
        return ClipScores(fake, maps[0] if cam and maps else None)
