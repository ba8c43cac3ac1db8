"""From trained weights to the model in the box: measured, calibrated, exported, described."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model_export.clrnet import CLRNet
from model_export.demo.calibration import calibrate
from model_export.demo.card import write_card
from model_export.demo.cases import Case
from model_export.demo.evaluation import (
    Results,
    ScoredCase,
    Scorer,
    clip_auc,
    evaluate,
    reordered,
    score_cases,
)
from model_export.demo.pool import CLIP_LENGTH, INPUT_SIZE, MARGIN
from model_export.demo.trainer import SCALING
from model_export.onnx_export import export, weights_sha256
from service import scoring
from service.classifier.classifier import Classifier, load_classifier
from service.classifier.contract import Metric, ModelContract, OperatingPoint

NAME = "clrnet-demo"
NOTICE = (
    "Demonstration model, trained on a few minutes of video with forgeries made by this project; "
    "not for decisions about real people."
)
LICENCE = (
    "Apache-2.0 (weights made by this project; the training videos are short public example "
    "clips and photographs, which are not part of it)"
)
ORDERS = {
    "reversed": (4, 3, 2, 1, 0),
    "shuffled": (2, 0, 4, 1, 3),
    "middle frame repeated": (2, 2, 2, 2, 2),
}


@dataclass(frozen=True, slots=True)
class Story:
    """What the metadata says about how the weights came about."""

    version: str
    trained_on: str
    strategy: str


def publish(
    model: CLRNet,
    validation: Sequence[Case],
    test: Sequence[Case],
    story: Story,
    output: Path,
    work: Path,
) -> ModelContract:
    """Write ``output`` (ONNX) and, beside it, its card. Figures are of the exported file."""
    draft = work / "draft.onnx"
    contract = _contract(model, story, OperatingPoint(), ())
    export(model, draft, contract, scaling=SCALING, half_weights=True)
    scorer = onnx_scorer(load_classifier(draft, device="cpu"))
    scored = score_cases(test, scorer)
    results = evaluate(scored)
    low = results.clip_auc.low
    abstain = None
    if low is None or low <= 0.5:
        abstain = "On unseen people this model is not shown to be better than chance."
    point = calibrate(score_cases(validation, scorer), abstain)
    metrics = [*_auc_metrics(scored, results), *_order_metrics(test, scorer)]
    metrics += _verdict_metrics(scored, point.model_copy(update={"abstain": None}), results)
    contract = _contract(model, story, point, metrics)
    export(model, output, contract, scaling=SCALING, half_weights=True)
    draft.unlink()
    write_card(output.with_suffix(".md"), contract, output.stat().st_size)
    return contract


def onnx_scorer(classifier: Classifier, batch: int = 16) -> Scorer:
    """Scores clips as the service does."""

    def score(clips: NDArray[np.uint8]) -> NDArray[np.float64]:
        parts = [clips[start : start + batch] for start in range(0, len(clips), batch)]
        return np.concatenate([classifier.score(part).fake.astype(np.float64) for part in parts])

    return score


def _contract(
    model: CLRNet, story: Story, point: OperatingPoint, metrics: Sequence[Metric]
) -> ModelContract:
    return ModelContract(
        name=NAME,
        version=story.version,
        architecture=model.architecture,
        clip_length=CLIP_LENGTH,
        input_height=INPUT_SIZE,
        input_width=INPUT_SIZE,
        class_order="fake,real",
        crop_margin=MARGIN,
        alignment="clip",
        precision="float16 weights, float32 sums",
        trained_on=story.trained_on,
        strategy=story.strategy,
        operating_point=point,
        metrics=tuple(metrics),
        weights_sha256=weights_sha256(model),
        licence=LICENCE,
        notice=NOTICE,
    )


UNSEEN = "people seen neither in training nor in validation"


def _auc_metrics(scored: Sequence[ScoredCase], results: Results) -> list[Metric]:
    """AUC over everybody with intervals, then by family and by person, each with what it is of."""

    def clips(cases: Sequence[ScoredCase]) -> int:
        return sum(len(case.clips) for case in cases)

    videos = sum(case.fake for case in scored)
    whole = f"{results.fake_clips} forged and {results.real_clips} real clips of"
    faces = f"{videos} forged and {len(scored) - videos} real two-second videos of"
    metrics = [
        Metric(
            name=name,
            value=round(figure.value, 3),
            data=f"{data} {results.people} {UNSEEN}",
            low=None if figure.low is None else round(figure.low, 3),
            high=None if figure.high is None else round(figure.high, 3),
        )
        for name, figure, data in (
            ("clip_auc", results.clip_auc, whole),
            ("face_auc_2s", results.face_auc, faces),
        )
    ]
    for family, value in results.by_family.items():
        count = clips([case for case in scored if case.kind == family])
        data = f"{count} forged and all {results.real_clips} real clips of the test people"
        metrics.append(Metric(name=f"clip_auc family {family}", value=round(value, 3), data=data))
    for number, (person, value) in enumerate(results.by_person.items(), start=1):
        own = [case for case in scored if case.person == person]
        forged = clips([case for case in own if case.fake])
        data = f"{forged} forged and {clips(own) - forged} real clips of this person"
        metrics.append(
            Metric(name=f"clip_auc test person {number}", value=round(value, 3), data=data)
        )
    return metrics


def _order_metrics(test: Sequence[Case], scorer: Scorer) -> list[Metric]:
    """The clip AUC when frames are put in another order: what the network makes of time."""
    metrics = []
    for name, order in ORDERS.items():
        value = clip_auc(score_cases(reordered(test, order), scorer))
        metrics.append(
            Metric(
                name=f"clip_auc frames {name}",
                value=round(value, 3),
                data=f"the same clips, frames in the order {', '.join(map(str, order))}",
            )
        )
    return metrics


def _verdict_metrics(
    scored: Sequence[ScoredCase], point: OperatingPoint, results: Results
) -> list[Metric]:
    """How faces of the test people fall on the operating point."""
    metrics = []
    for truth in ("forged", "real"):
        cases = [case for case in scored if case.fake == (truth == "forged")]
        verdicts = [scoring.verdict(scoring.calibrate(case.face, point), point) for case in cases]
        for verdict in ("fake", "uncertain", "real"):
            metrics.append(
                Metric(
                    name=f"{truth} faces called {verdict}",
                    value=round(verdicts.count(verdict) / len(verdicts), 3),
                    data=f"{len(cases)} {truth} two-second videos of {results.people} test people",
                )
            )
    return metrics
