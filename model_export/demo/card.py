"""The model card: every figure in it is read from the model's own metadata."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from model_export.demo.figures import BENCHMARK, BENCHMARKS
from model_export.synthetic.methods import METHODS
from service.classifier.contract import Metric, ModelContract

_TEXT = """# {name} {version}

> {notice}

A small CLRNet (`{architecture}`): {clip_length} consecutive frames of one face, \
{input_height} x {input_width} pixels, to the probability that the face is forged. \
{megabytes:.1f} MB, {precision}. It is here so that a fresh clone detects something. \
It has seen no output of a real deepfake program, only forgeries that this project made with plain \
image processing, and says nothing about other kinds.

## Use

For trying out the service, its reports and its interfaces. Not for moderation, evidence or any \
decision about a person: {wrong} were called fake.

## What it was trained on

Data: {trained_on}.

Strategy: {strategy}.

Forgery families: {families}. Real clips go through the same blur, noise and compression as forged \
ones.

## What it reaches

On people seen neither in training nor in validation; the split is by person and follows from the \
SHA-256 of the names. Videos are forged, encoded as H.264 and taken through the service's own \
decoder, detector (MTCNN), tracker and cropper. Intervals are 95 %, drawn over people with \
replacement: with so few people they are wide, and themselves uncertain.

| figure | value | 95 % interval | measured on |
|---|---|---|---|
{metrics}

`clip_auc` is over single clips of {clip_length} frames, `face_auc_2s` over faces scored as the \
service scores them, in videos that hold just one stretch of about two seconds. Families are each \
compared with all real clips. Training and test forgeries come from the same generator and are \
plain to see at times: these figures say that the network works on new people, not how it would \
do on a benchmark of real deepfakes. {unseen}

## Does it use time?

{time}

## Verdicts

Calibrated score = sigmoid({scale} * logit(raw) {offset:+}). Below {uncertain_low} a face reads \
real, from {uncertain_high} fake, between them uncertain. {calibration}.{abstain}

## Limits

- Whether a face is called fake at all depends much on the person: scores of real faces are far \
from even, and a few people cannot place a threshold well.
{remarks}- Real deepfakes differ from these forgeries. A high score means traces like those of \
the families above; a low score does not mean that a video is real.
- A handful of people in training and in test: skin, age, glasses, beards, lighting and cameras \
are not covered evenly, and errors differ from person to person, as the table shows.
- Strong compression, blur and very small faces hide the traces.

## Licence

{licence}

Weights SHA-256, of the float32 weights before rounding: `{weights_sha256}`. How to make it again: \
[docs/training.md](../../docs/training.md).
"""

_REMARKS = {
    "4495dfb9353839985b22a47941e6d12b07a5a436fd92cee39167aaace6dc0f44": """\
- Test person 1 is a stage recording in which several people appear; the largest face of two \
stretches is followed, and it counts as one person.
- Test and validation videos are cut around one face of 90 to 240 pixels and two seconds long; \
smaller faces were not measured. Some files are short, so the footage repeats: the 24 real test \
videos hold at most 17 distinct pieces of two seconds, the 24 real validation videos at most 8.
- A longer video scores its worst two seconds and its worst face, which gives more chances of a \
false alarm than the table shows. Of the six whole real test videos one, the stage recording with \
seven faces, is called fake, for a face of about 70 pixels.
- The calibration's form (a prior, a least width of the band) was settled after a first version \
had called 9 of the 24 real test videos fake, so the shares of verdicts in the table are on the \
bright side.
- In the six-person clip of `deepfake-service demo` the forged face ranks first, but one of the \
five untouched faces is called fake as well and another uncertain.
- Of the four images published with MesoNet (two real deepfakes, two real faces) it ranks the \
deepfakes higher but would call neither fake: raw scores of at most about 0.1 against 0.001, \
depending on how the image is cut and resized.
""",
}
"""What else was seen with particular weights, by their SHA-256."""


FAMILY, UNSEEN_FAMILY = "clip_auc family ", "clip_auc unseen family "
LOST = "clip_auc lost with the middle frame repeated"
LITTLE = 0.01
"""An AUC that changes less has not changed."""


def write_card(path: Path, contract: ModelContract, size: int) -> None:
    """Write the card of a model of ``size`` bytes as Markdown."""
    point = contract.operating_point
    fields = contract.model_dump(exclude={"operating_point", "metrics"})
    figures = {metric.name: metric for metric in contract.metrics}
    path.write_text(
        _TEXT.format(
            **fields,
            megabytes=size / 1e6,
            wrong=_wrong(figures),
            families="; ".join(map(_family, _named(figures, FAMILY))),
            unseen=_unseen(figures),
            remarks=_REMARKS.get(contract.weights_sha256, ""),
            metrics="\n".join(metric_row(metric) for metric in contract.metrics),
            time=_time(figures),
            scale=point.scale,
            offset=point.offset,
            uncertain_low=point.uncertain_low,
            uncertain_high=point.uncertain_high,
            calibration=point.calibration,
            abstain=f" Every verdict is uncertain: {point.abstain}" if point.abstain else "",
        )
    )


def metric_row(metric: Metric) -> str:
    """One line of the card's table."""
    between = "" if metric.low is None else f"{metric.low:.3f} to {metric.high:.3f}"
    return f"| {metric.name} | {metric.value:.3f} | {between} | {metric.data} |"


def _named(figures: Mapping[str, Metric], start: str) -> list[str]:
    """What comes after ``start`` in the figures' names."""
    return [name.removeprefix(start) for name in figures if name.startswith(start)]


def _wrong(figures: Mapping[str, Metric]) -> str:
    """The shares of real faces that were called fake, in words."""
    own = f"{figures['real faces called fake'].value:.0%} of the real faces below"
    other = figures.get(f"real faces of {BENCHMARKS} called fake")
    return own if other is None else f"{own} and {other.value:.0%} of those of {BENCHMARKS}"


def _family(name: str) -> str:
    return f"*{name}*, {METHODS[name].words}" if name in METHODS else f"*{name}*"


def _unseen(figures: Mapping[str, Metric]) -> str:
    """How it does on a kind of forgery that it has not trained on, in words."""
    families = _named(figures, UNSEEN_FAMILY)
    if BENCHMARK in figures:
        return _elsewhere(figures)
    if not families:
        return "How it would do on a kind of forgery it has not trained on was not measured."
    known, unseen = figures["clip_auc"].value, figures[UNSEEN_FAMILY + families[0]]
    between = "" if unseen.low is None else f" ({unseen.low:.3f} to {unseen.high:.3f})"
    return (
        f"{_family(families[0])}, was never trained on and stands for a kind of forgery it has not "
        f"met: its clip AUC is {unseen.value:.3f}{between}, that of the others {known:.3f}. It is "
        "one family, made with the same tools, and its videos alone were graded and compressed "
        "once more; leaving out each of the others in turn would say more and was not done."
    )


def _elsewhere(figures: Mapping[str, Metric]) -> str:
    """How it does on the synthetic benchmark, which it has not trained on, in words."""
    over = figures[BENCHMARK]
    start = f"{BENCHMARK} family "
    by_auc = sorted(_named(figures, start), key=lambda family: figures[start + family].value)
    told = ", ".join(f"*{family}* {figures[start + family].value:.3f}" for family in by_auc)
    between = "" if over.low is None else f" ({over.low:.3f} to {over.high:.3f})"
    return (
        "The synthetic benchmark of [docs/synthetic.md](../../docs/synthetic.md) forges the same "
        "people by other recipes, none of which it has trained on. There its clip AUC is "
        f"{over.value:.3f}{between}; by family, the worst first: {told}. 0.5 is chance: what it "
        "finds depends on the kind of forgery far more than the figures on its own kinds suggest."
    )


def _time(figures: Mapping[str, Metric]) -> str:
    """What the figures with frames in another order say, in words."""
    straight = figures["clip_auc"].value
    shuffled = figures["clip_auc frames shuffled"].value
    still = figures["clip_auc frames middle frame repeated"].value
    words = (
        f"With frames in their order the clip AUC is {straight:.3f}, shuffled {shuffled:.3f}, with "
        f"the middle frame repeated five times {still:.3f}. "
    )
    lost = figures.get(LOST)
    by_chance = lost is not None and (lost.low is None or lost.low <= 0)
    if straight - still < LITTLE or by_chance:
        return words + "So it judges single frames: five of them help no more than one."
    if abs(straight - shuffled) < LITTLE:
        return words + (
            "So five different frames help over one, as five looks do, but their order hardly "
            "matters: it does not read motion."
        )
    return words + "So it uses the order of frames."
