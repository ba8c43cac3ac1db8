"""A model to be looked into: a training run or an ONNX file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from model_export.data.prepared import Preparation
from model_export.errors import EvaluationError
from service.classifier.classifier import ClipScores, load_classifier
from service.errors import ModelError, ServiceError

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
    """A model and the clips it takes: ``length`` frames of ``height`` x ``width``; ``margin`` and
    ``alignment`` of the crops as in ``ModelContract``, None where nothing says them."""

    name: str
    architecture: str
    length: int
    height: int
    width: int
    scorer: Scorer
    margin: float | None = None
    alignment: str | None = None

    def seen(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """What the model sees of a stored clip, uint8 (T, H, W, 3) of one at least as long: the
        middle frames, as in every measurement."""
        skipped = (len(pixels) - self.length) // 2
        return np.ascontiguousarray(pixels[skipped : skipped + self.length])

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
        same_crops = (self.height, self.width) == (made.size, made.size)
        same_crops &= self.margin in (None, made.margin)
        same_crops &= self.alignment in (None, made.alignment)
        if self.length > made.length or not same_crops:
            wanted = _crops(self.length, self.height, self.width, self.margin, self.alignment)
            found = _crops(made.length, made.size, made.size, made.margin, made.alignment)
            raise EvaluationError(
                f"{self.name} takes clips of {wanted}, but the dataset has {found}: prepare the "
                "videos as the model takes them"
            )

    def demand_cam(self) -> None:
        """Raise ``EvaluationError`` where the model has no class activation maps."""
        if not self.scorer.has_cam:
            raise EvaluationError(
                f"{self.name} is a {self.architecture} without class activation maps; they need a "
                "network whose head averages its last feature map, such as clrnet"
            )


def open_model(path: Path) -> OpenModel:
    """Open a run's folder, with its best weights, or an ONNX model.

    Raises ``EvaluationError`` naming what cannot be opened, ``TrainingError`` for a run that has
    no weights yet.
    """
    if path.is_dir():
        return _run(path)
    try:
        classifier = load_classifier(path)
    except ModelError as error:
        raise EvaluationError(f"{path} is no run's folder, and {error}") from error
    contract = classifier.contract
    return OpenModel(
        contract.name,
        contract.architecture,
        contract.clip_length,
        contract.input_height,
        contract.input_width,
        classifier,
        contract.crop_margin,
        contract.alignment,
    )


def _crops(
    length: int, height: int, width: int, margin: float | None, alignment: str | None
) -> str:
    how = "" if margin is None else f" (margin {margin:g}, aligned {alignment})"
    return f"{length} frames of {height}x{width}{how}"


def _run(folder: Path) -> OpenModel:
    from model_export.evaluation.scores import SCALINGS
    from model_export.onnx_export import ScoredClips
    from model_export.training.checkpoint import load_run

    detector, config = load_run(folder)
    model = config.model
    scorer = NetworkScorer(ScoredClips(detector, SCALINGS[model.scaling]))
    length = model.length or detector.clip_length
    return OpenModel(config.name, detector.architecture, length, model.size, model.size, scorer)


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
