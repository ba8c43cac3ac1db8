"""Scoring a prepared dataset, with a trained network or with an exported model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import Progress

from model_export.data.prepared import PreparedDataset, PreparedVideo
from model_export.data.video import Part
from model_export.detector import Detector
from model_export.errors import EvaluationError
from model_export.evaluation.opening import open_onnx
from model_export.evaluation.orders import Order, reorder
from model_export.evaluation.score_file import describe
from model_export.scaling import SCALINGS, Scaling
from service.classifier.classifier import Classifier
from service.clips import ClipSpec
from service.errors import ServiceError
from service.measures.table import ScoreTable
from service.session import Device

__all__ = ["SCALINGS", "ScoreTable", "score_onnx", "score_run", "score_videos"]

Image = NDArray[np.uint8]

Transform = Callable[[Image, np.random.Generator], Image]
"""One stored clip, uint8 (T, H, W, 3) RGB, to another of the same shape. The generator is the
clip's own: what is drawn from it does not depend on which other clips are scored."""


@dataclass(frozen=True, slots=True)
class Scorer:
    """``score`` gives P(fake) float64 (N,) of clips uint8 (N, ``length``, H, W, 3) RGB."""

    length: int
    score: Callable[[Image], NDArray[np.float64]]


def score_run(
    model: Detector,
    scaling: Scaling | str,
    dataset: PreparedDataset,
    part: Part | None,
    methods: Sequence[str] | None = None,
    transform: Transform | None = None,
    batch: int = 32,
    order: Order | None = None,
    *,
    length: int | None = None,
    progress: Progress | None = None,
) -> ScoreTable:
    """Score clips with a trained network, on the device that it is on, in evaluation mode.

    ``scaling`` may be a name of ``SCALINGS``; ``length`` is the frames T the network was trained
    on where that is not the architecture's own. For the rest see ``score_videos``.
    """
    scorer = network_scorer(model, scaling, length)
    return score_videos(scorer, dataset, part, methods, transform, batch, order, progress=progress)


def score_onnx(
    path: Path,
    dataset: PreparedDataset,
    part: Part | None,
    methods: Sequence[str] | None = None,
    transform: Transform | None = None,
    batch: int = 32,
    order: Order | None = None,
    *,
    device: Device = "auto",
    progress: Progress | None = None,
) -> ScoreTable:
    """Score clips with an exported model, as the service does. For the rest see ``score_videos``.

    Raises ``EvaluationError`` also where the clips were not cut as the model's contract asks.
    """
    scorer = onnx_scorer(path, dataset, device)
    return score_videos(scorer, dataset, part, methods, transform, batch, order, progress=progress)


def score_videos(
    scorer: Scorer,
    dataset: PreparedDataset,
    part: Part | None,
    methods: Sequence[str] | None = None,
    transform: Transform | None = None,
    batch: int = 32,
    order: Order | None = None,
    *,
    progress: Progress | None = None,
    seed: int = 0,
) -> ScoreTable:
    """Score every clip of one part (None: of all) and of some methods (``real`` is one).

    A stored clip first goes through ``transform``, whole; then, where the network takes fewer
    frames than are stored, the middle ones are taken (a single-frame network scores the middle
    frame: one score a clip, so that all networks are measured on the same rows); then the frames
    are put in ``order``. Raises ``EvaluationError`` where there are no such clips or where the
    network takes more frames than are stored.
    """
    stored = dataset.preparation.length
    if scorer.length > stored:
        raise EvaluationError(
            f"the model takes clips of {scorer.length} frames, but {dataset.folder} holds clips of "
            f"{stored}: prepare the videos with clips that long"
        )
    videos = dataset.videos(part, methods)
    if not videos:
        raise EvaluationError(f"{dataset.folder} holds no clips of {_wanted(part, methods)}")
    skipped = (stored - scorer.length) // 2
    middle = slice(skipped, skipped + scorer.length)
    task = progress.add_task("Scoring", total=len(videos)) if progress else None
    rows: list[tuple[Any, ...]] = []
    for row in videos:
        clips = dataset.load(row.video.id, twin=False)
        pixels = clips.pixels
        if transform is not None or order not in (None, "as_is"):
            pixels = _altered(row, pixels, transform, order, middle, seed)
        else:
            pixels = np.ascontiguousarray(pixels[:, middle])
        scores = np.concatenate(
            [scorer.score(pixels[start : start + batch]) for start in range(0, len(pixels), batch)]
        )
        columns = (clips.track, clips.first_frame, clips.last_frame, clips.start, clips.end, scores)
        rows += [
            (*describe(row), *values)
            for values in zip(*(column.tolist() for column in columns), strict=True)
        ]
        if progress and task is not None:
            progress.advance(task)
    if progress and task is not None:
        progress.update(task, visible=False)
    return ScoreTable.of(rows)


def network_scorer(model: Detector, scaling: Scaling | str, length: int | None = None) -> Scorer:
    """Scores with a network as it is: its weights, its device. Parameters as in ``score_run``."""
    scale = resolve(scaling)
    device = next(model.parameters()).device

    def score(clips: Image) -> NDArray[np.float64]:
        training = model.training
        model.eval()
        try:
            with torch.inference_mode():
                pixels = torch.from_numpy(clips).to(device).permute(0, 1, 4, 2, 3)
                fake = model.fake_probability(model(scale(pixels)))
        finally:
            model.train(training)
        return np.asarray(fake.double().cpu().numpy())

    return Scorer(model.clip_length if length is None else length, score)


def onnx_scorer(path: Path, dataset: PreparedDataset, device: Device = "auto") -> Scorer:
    """Scores with an exported model. Raises ``EvaluationError`` as ``score_onnx`` does."""
    return classifier_scorer(open_onnx(path, device), path, dataset)


def classifier_scorer(classifier: Classifier, path: Path, dataset: PreparedDataset) -> Scorer:
    """Scores with the opened model of ``path``. Raises ``EvaluationError`` where the clips were not
    cut as it asks."""
    demand_fit(classifier.contract.name, ClipSpec.of(classifier.contract), dataset)

    def score(clips: Image) -> NDArray[np.float64]:
        try:
            return classifier.score(clips).fake.astype(np.float64)
        except ServiceError as error:
            raise EvaluationError(f"{path}: {error}") from error

    return Scorer(classifier.contract.clip_length, score)


def resolve(scaling: Scaling | str) -> Scaling:
    """The scaling of that name."""
    return SCALINGS[scaling] if isinstance(scaling, str) else scaling


def demand_fit(name: str, spec: ClipSpec, dataset: PreparedDataset) -> None:
    """Raise ``EvaluationError`` where faces were cut otherwise than the model takes them: the
    service would not, and another model than the served one would be measured."""
    stored = dataset.preparation
    found = ClipSpec(spec.length, stored.size, stored.size, stored.margin, stored.alignment)
    if found != spec:
        raise EvaluationError(
            f"{name} takes faces of {_words(spec)}, but {dataset.folder} holds {_words(found)}: "
            "prepare the videos as the model takes them"
        )


def _altered(
    row: PreparedVideo,
    pixels: Image,
    transform: Transform | None,
    order: Order | None,
    middle: slice,
    seed: int,
) -> Image:
    altered = []
    for index, clip in enumerate(pixels):
        rng = np.random.default_rng([seed, index, *row.video.id.encode()])
        changed = clip if transform is None else transform(clip, rng)
        altered.append(reorder(changed[middle], order or "as_is", rng))
    return np.stack(altered)


def _wanted(part: Part | None, methods: Sequence[str] | None) -> str:
    text = ", ".join(methods) if methods else "any method"
    return f"{text} in the part '{part}'" if part else text


def _words(spec: ClipSpec) -> str:
    return f"{spec.height}x{spec.width} pixels, margin {spec.margin:g}, aligned {spec.alignment}"
