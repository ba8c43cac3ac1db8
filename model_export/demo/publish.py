"""From trained weights to the model in the box: measured, calibrated, exported, described."""

from __future__ import annotations

import hashlib
from pathlib import Path

import onnx
from onnx import helper
from rich.console import Console

from model_export.data.prepared import PreparedDataset
from model_export.data.video import REAL
from model_export.demo.card import write_card
from model_export.demo.figures import auc, figures, on_the_benchmark, score_all
from model_export.demo.material import KNOWN, STILL, UNSEEN, people, shown
from model_export.errors import ExportError
from model_export.evaluation.calibration import calibrate
from model_export.evaluation.score_file import save_scores
from model_export.evaluation.scores import onnx_scorer, score_videos
from model_export.onnx_export import export, weights_sha256
from model_export.scaling import SCALINGS
from model_export.training.checkpoint import load_run
from model_export.training.run_folder import RunResult
from service.classifier.classifier import load_classifier
from service.classifier.contract import UNKNOWN, ModelContract, OperatingPoint
from service.measures.table import ScoreTable, concatenate

VERSION = "2"
NOTICE = (
    "Demonstration model, trained on a few minutes of video with forgeries made by this project; "
    "not for decisions about real people."
)
LICENCE = (
    "Apache-2.0 (weights made by this project; the training videos are short public example "
    "clips and photographs, which are not part of it)"
)
NO_BETTER = "On unseen people this model is not shown to be better than chance."


def publish(
    frames: RunResult, clips: RunResult, dataset: PreparedDataset, output: Path, console: Console
) -> ModelContract:
    """Write the run ``clips`` as ``output`` (ONNX) and, beside it, its card and its hash.

    Figures are of the very file that is written; the scores of all test clips are in
    ``test-scores.csv`` of the run's folder. Raises ``EvaluationError`` and ``ExportError``.
    """
    model, config = load_run(clips.folder)
    scaling = SCALINGS[config.model.scaling]
    made, size = dataset.preparation, config.model.size
    told = ModelContract(
        name=config.name,
        version=VERSION,
        architecture=model.architecture,
        clip_length=made.length,
        input_height=size,
        input_width=size,
        class_order=model.class_order,
        crop_margin=made.margin,
        alignment=made.alignment,
        precision=UNKNOWN,  # The export fills it in.
        trained_on=trained_on(dataset),
        strategy=strategy(dataset, frames, clips),
        operating_point=OperatingPoint(),
        metrics=(),
        weights_sha256=weights_sha256(model),
        licence=LICENCE,
        notice=NOTICE,
    )
    draft = clips.folder / "draft.onnx"
    export(model, draft, told, scaling=scaling, half_weights=True)
    scores = score_all(onnx_scorer(draft, dataset, "cpu"), dataset, console)
    unseen = scores.unseen.select(methods=UNSEEN)
    save_scores(concatenate([scores.test, unseen]), clips.folder / "test-scores.csv")
    point = calibrate(scores.validation)
    measured = figures(scores, point, dataset)
    point = point.model_copy(update={"abstain": reason_to_abstain(scores.test)})
    told = load_classifier(draft, device="cpu").contract.model_copy(
        update={"operating_point": point, "metrics": tuple(measured)}
    )
    _tell(draft, output, told)
    draft.unlink()
    return told


def measure_on_the_benchmark(model: Path, dataset: PreparedDataset, version: str) -> ModelContract:
    """Add to the metadata and card of ``model`` how it does on a benchmark it has not trained on.

    ``dataset`` is the benchmark, prepared; ``version``, the file's new one: its weights stay as
    they are. Raises ``EvaluationError`` and ``ExportError``.
    """
    scorer = onnx_scorer(model, dataset, "cpu")
    known, unseen = (
        score_videos(scorer, dataset, "test", [*methods, REAL]) for methods in (KNOWN, UNSEEN)
    )
    told = load_classifier(model, device="cpu").contract
    point = told.operating_point
    measured = on_the_benchmark(known, unseen, point, shown(dataset))
    names = {metric.name for metric in measured}
    kept = [metric for metric in told.metrics if metric.name not in names]
    contract = told.model_copy(update={"version": version, "metrics": (*kept, *measured)})
    _tell(model, model, contract)
    return contract


def reason_to_abstain(test: ScoreTable) -> str | None:
    """Why the model should never decide, where its test clips do not show that it can."""
    low = auc(test).low
    return None if low is not None and low > 0.5 else NO_BETTER


def _tell(source: Path, output: Path, contract: ModelContract) -> None:
    """Write the graph of ``source`` as ``output``, telling ``contract``, its card and its hash."""
    graph = onnx.load(source)
    helper.set_model_props(graph, contract.dump())
    partial = output.with_name(f".{output.name}.part")
    try:
        onnx.save(graph, partial)
        partial.replace(output)
    except OSError as error:
        raise ExportError(f"{output} cannot be written: {error.strerror}") from error
    finally:
        partial.unlink(missing_ok=True)
    write_card(output.with_suffix(".md"), contract, output.stat().st_size)
    digest = hashlib.sha256(output.read_bytes()).hexdigest()
    output.with_name(f"{output.name}.sha256").write_text(f"{digest}  {output.name}\n")


def trained_on(dataset: PreparedDataset) -> str:
    """Whom and what it has learnt from, in words."""
    known = people(dataset, "train")
    stills = sum(name.startswith(STILL) for name in known)
    photographs = f" and {stills} photographs" if stills else ""
    videos = dataset.videos("train", KNOWN)
    return (
        f"short public example videos of {len(known) - stills} people{photographs}, forged in "
        f"{len({row.video.method for row in videos})} ways ({len(videos)} forged videos with "
        f"{sum(row.clips for row in videos):,} pairs of a real and a forged clip)"
    )


def strategy(dataset: PreparedDataset, frames: RunResult, clips: RunResult) -> str:
    """How it has learnt, in words."""
    return (
        f"single frames from random weights ({frames.samples:,} images), then five-frame clips "
        f"({clips.samples:,}); each forged clip beside its real twin; an auxiliary map of the "
        "forged pixels in training only; averaged weights of the epoch with the lowest loss on "
        f"{len(people(dataset, 'validation'))} other people, {len(people(dataset, 'test'))} others "
        "for test"
    )
