"""From a run's folder to an ONNX model that says what it was trained on."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from model_export import onnx_export
from model_export.data.video import REAL
from model_export.errors import TrainingError
from model_export.onnx_export import ExportReport, weights_sha256
from model_export.scaling import SCALINGS
from model_export.training.ancestry import Ancestry, ancestry
from model_export.training.checkpoint import load_run
from model_export.training.run_folder import RunRecord, read_result
from service.classifier.contract import UNKNOWN, Metric, ModelContract, OperatingPoint

BEFORE = "; before that, "

_METRICS = TypeAdapter(tuple[Metric, ...])


@dataclass(frozen=True, slots=True)
class Told:
    """What a run does not know about itself. Without ``metrics`` those of the validation part are
    given, as what they are."""

    version: str = "1"
    licence: str = UNKNOWN
    notice: str = UNKNOWN
    operating_point: OperatingPoint = field(default_factory=OperatingPoint)
    metrics: tuple[Metric, ...] | None = None


def export_run(
    folder: Path, output: Path, told: Told, *, half: bool = False, plain: bool = False
) -> ExportReport:
    """Write the best weights of the finished run in ``folder`` as the ONNX model ``output``.

    ``half`` stores them in half precision, ``plain`` writes convolutions alone. Raises
    ``TrainingError`` for a run that is not finished and ``ExportError``.
    """
    found, result = ancestry(folder), read_result(folder)
    record = found.records[0]
    if result is None:
        raise TrainingError(f"{folder} is not finished: train it to its end first")
    model, config = load_run(folder)
    metrics = told.metrics
    if metrics is None:
        data = f"validation part of {record.preparation.origin}, by which the epoch was chosen"
        if config.precision != "fp32":
            data += f", computed in {config.precision}"  # The model that is written is not.
        metrics = (
            Metric(name="clip accuracy", value=round(result.validation_accuracy, 4), data=data),
            Metric(name="clip AUC", value=round(result.validation_auc, 4), data=data),
        )
    contract = ModelContract(
        name=config.name,
        version=told.version,
        architecture=model.architecture,
        clip_length=config.model.length or model.clip_length,
        input_height=config.model.size,
        input_width=config.model.size,
        class_order=model.class_order,
        crop_margin=record.preparation.margin,
        alignment=record.preparation.alignment,
        precision=UNKNOWN,  # The export fills it in.
        trained_on=trained_on(found),
        strategy=strategy(record),
        operating_point=told.operating_point,
        metrics=metrics,
        weights_sha256=weights_sha256(model),
        licence=told.licence,
        notice=told.notice,
    )
    scaling = SCALINGS[config.model.scaling]
    return onnx_export.export(
        model, output, contract, scaling=scaling, half_weights=half, plain=plain
    )


def trained_on(found: Ancestry) -> str:
    """The datasets in words, where they are from and how many videos of each method: those of the
    run, then those of what it started from, as far as that is known."""
    parts = []
    for origin, records in groupby(found.records, lambda record: record.preparation.origin):
        # A run of several stages is trained on the same videos again and again.
        parts.append(f"{origin}: {BEFORE.join(dict.fromkeys(map(_videos, records)))}")
    if not found.complete:
        start = found.records[-1].config.init.weights
        parts.append(f"what the weights {start.name if start else ''} were trained on is not known")
    return BEFORE.join(parts)


def _videos(record: RunRecord) -> str:
    forged = ", ".join(
        f"{count} {method}" for method, count in record.videos.items() if method != REAL
    )
    real = "their real twins" if record.config.data.twins else f"{record.videos[REAL]} real"
    return f"videos {forged} and {real}"


def strategy(record: RunRecord) -> str:
    """How it was trained, in words."""
    config = record.config
    start = config.init.weights
    parts = [
        "from random weights" if start is None else f"from the weights {start.name}",
        "with inflation" if config.init.inflate else "",
        "" if config.freeze == "none" else f"frozen {config.freeze}",
        f"on {record.clips} clips an epoch",
        "with masks of the forged pixels" if config.mask_weight else "",
        "averaged weights" if config.average else "",
        f"seed {config.seed}",
    ]
    return ", ".join(part for part in parts if part)


def read_metrics(path: Path) -> tuple[Metric, ...]:
    """Figures from a JSON file, a list of name, value, data and optionally low and high. Raises
    ``TrainingError``."""
    try:
        return _METRICS.validate_json(path.read_bytes())
    except OSError as error:
        raise TrainingError(f"{path} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        raise TrainingError(f"{path} is no list of figures: {error.errors()[0]['msg']}") from error
