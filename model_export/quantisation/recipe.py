"""From a float32 model to one in int8: calibrated, layers chosen, checked, measured, described."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx
from onnx import helper
from rich.progress import Progress

from model_export.data.prepared import PreparedDataset
from model_export.data.video import Part
from model_export.errors import EvaluationError, ExportError
from model_export.evaluation.scores import classifier_scorer, demand_fit, score_videos
from model_export.files import replacing
from model_export.quantisation.calibrating import calibrate, draw
from model_export.quantisation.cost import Cost, costs
from model_export.quantisation.layers import layers, quantised, widened
from model_export.quantisation.sensitivity import (
    Sensitivity,
    left_out,
    rms,
    scored,
    sensitivities,
)
from service.classifier.classifier import Classifier, load_classifier
from service.classifier.contract import UNKNOWN, Metric, ModelContract
from service.clips import ClipSpec
from service.errors import ModelError
from service.measures.metrics import Estimate
from service.session import Arithmetic, Runtime

ERROR = 0.1
"""Root mean square difference of log-odds that int8 may add: at even odds a fortieth of P(fake)."""
LARGEST = 2.0
"""Times that the finished model may differ on clips that nothing was chosen on."""


@dataclass(frozen=True, slots=True)
class Quantised:
    """What was written. ``measured`` holds all layers, ``kept`` those left in float32; ``error``
    is the root mean square difference of log-odds on clips that nothing was chosen on."""

    contract: ModelContract
    bytes_before: int
    bytes_after: int
    measured: tuple[Sensitivity, ...]
    kept: tuple[Sensitivity, ...]
    error: float
    costs: tuple[Cost, ...]


def quantise(
    source: Path,
    output: Path,
    dataset: PreparedDataset,
    *,
    clips: int = 64,
    error: float = ERROR,
    draws: int = 1000,
    progress: Progress | None = None,
) -> Quantised:
    """Write the model ``source`` in int8 as ``output``.

    Ranges are found on ``clips`` clips of the training part, layers to leave in float32 on as many
    of the validation part, and the finished model is held against its source on as many others of
    it. The cost is measured on the whole test part. The operating point stays: it was found on more
    people than are needed here, and the error is far below what it is uncertain by.

    Raises ``EvaluationError`` where ``source`` is no model of ours or takes other clips,
    ``DataError`` where a part has none, and ``ExportError`` where the model cannot be quantised or
    differs too much; then nothing is written.
    """
    if not output.parent.is_dir():  # Now rather than after all the work.
        raise ExportError(f"{output} cannot be written: there is no folder {output.parent}")
    classifier = opened(source)
    contract = classifier.contract
    demand_fit(contract.name, ClipSpec.of(contract), dataset)
    model = widened(onnx.load(source))
    found = layers(model)
    length = contract.clip_length
    calibration = calibrate(model, found, draw(dataset, "train", clips, length, seed=0), progress)
    held = draw(dataset, "validation", 2 * clips, length, seed=1)
    chosen_on, checked_on = held[: len(held) // 2], held[len(held) // 2 :]
    if not len(chosen_on):
        raise EvaluationError(f"{dataset.folder} holds too few clips of the part 'validation'")
    measured = sensitivities(model, calibration, found, chosen_on, progress)
    kept = left_out(measured, error)
    names = {each.layer.weight for each in kept}
    chosen = [layer for layer in found if layer.weight not in names]
    if not chosen:
        raise ExportError(f"no layer can be in int8 within an error of {error:g} in log-odds")
    fast = quantised(model, calibration.ranges, chosen)
    apart = rms(scored(fast, checked_on) - scored(model, checked_on))
    if apart > LARGEST * error:
        raise ExportError(
            f"the quantised model's log-odds differ by {apart:.3f} on clips that it was not "
            f"calibrated on (allowed: {LARGEST * error:g}); no file was written"
        )
    told = contract.model_copy(
        update={
            "name": f"{contract.name}-int8",
            "precision": (
                "int8: static, a scale for each channel, weights of 7 bits; "
                f"{len(kept)} of {len(found)} layers in float32"
            ),
        }
    )
    try:
        with replacing(output) as partial:
            helper.set_model_props(fast, told.dump())
            onnx.save(fast, partial)
            spent = compare(
                classifier, opened(partial), dataset, "test", draws=draws, progress=progress
            )
            told = _described(told, spent, dataset)
            helper.set_model_props(fast, told.dump())
            onnx.save(fast, partial)
    except OSError as problem:
        raise ExportError(f"{output} cannot be written: {problem.strerror}") from problem
    return Quantised(
        contract=told,
        bytes_before=source.stat().st_size,
        bytes_after=output.stat().st_size,
        measured=tuple(measured),
        kept=tuple(kept),
        error=apart,
        costs=tuple(spent),
    )


def opened(
    path: Path, runtime: Runtime = "onnxruntime", arithmetic: Arithmetic = "float32"
) -> Classifier:
    """A model as it is served on a processor. Raises ``EvaluationError``."""
    try:
        return load_classifier(path, device="cpu", runtime=runtime, arithmetic=arithmetic)
    except ModelError as error:
        raise EvaluationError(str(error)) from error


def compare(
    source: Classifier,
    fast: Classifier,
    dataset: PreparedDataset,
    part: Part,
    *,
    draws: int = 1000,
    progress: Progress | None = None,
) -> list[Cost]:
    """What ``fast`` costs against ``source``, at whose operating point verdicts fall. Raises
    ``EvaluationError`` where the part has no clips or the models take others."""
    before, after = (
        score_videos(
            classifier_scorer(each, Path(each.contract.name), dataset),
            *(dataset, part),
            progress=progress,
        )
        for each in (source, fast)
    )
    return costs(before, after, source.contract.operating_point, draws)


def _described(
    contract: ModelContract, spent: Sequence[Cost], dataset: PreparedDataset
) -> ModelContract:
    """With what was measured of it; its source's figures are marked as such."""
    theirs = tuple(
        each.model_copy(update={"name": f"source's {each.name}"}) for each in contract.metrics
    )
    ours = tuple(metric for each in spent for metric in _metrics(each, dataset.preparation.origin))
    faces = next(each for each in spent if each.level == "face")
    notice = (
        f"In int8, made from a float32 model: {faces.changed.value:.1%} of "
        f"{faces.fake + faces.real} test faces got another verdict."
    )
    told = notice if contract.notice == UNKNOWN else f"{contract.notice} {notice}"
    return contract.model_copy(update={"metrics": (*ours, *theirs), "notice": told})


def _metrics(spent: Cost, origin: str) -> list[Metric]:
    data = f"{spent.fake} forged and {spent.real} real {spent.level}s of the test part of {origin}"
    named: list[tuple[str, Estimate]] = [
        (f"{spent.level}_auc", spent.fast),
        (f"{spent.level}_auc less the source's", spent.change),
        (f"{spent.level} verdicts unlike the source's", spent.changed),
    ]
    return [
        Metric(
            name=name,
            value=round(found.value, 4),
            data=data,
            low=None if found.low is None else round(found.low, 4),
            high=None if found.high is None else round(found.high, 4),
        )
        for name, found in named
        if found.value is not None
    ]
