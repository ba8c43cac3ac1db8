"""What the model in the box reaches, as the figures in its metadata.

All are of the exported file, on the clips of people who neither train nor validate.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from rich.console import Console
from rich.progress import Progress

from model_export.data.prepared import PreparedDataset
from model_export.data.video import REAL, Part
from model_export.degradation import Kind
from model_export.demo.material import KNOWN, UNSEEN, shown
from model_export.errors import EvaluationError
from model_export.evaluation.calibration import verdict_shares
from model_export.evaluation.orders import Order
from model_export.evaluation.robustness import UNITS, Degraded, robustness
from model_export.evaluation.scores import Scorer, Transform, score_videos
from service.classifier.contract import Metric, OperatingPoint
from service.measures.levels import Level, at_level
from service.measures.metrics import Estimate, difference, measure
from service.measures.table import ScoreTable

PEOPLE = "people seen neither in training nor in validation"

BENCHMARKS = "the benchmark"
BENCHMARK = "clip_auc on the synthetic benchmark"

ORDERS: Mapping[Order, str] = MappingProxyType(
    {"reversed": "reversed", "shuffled": "shuffled", "repeated": "middle frame repeated"}
)
LEVELS: Mapping[Kind, tuple[float, ...]] = MappingProxyType(
    {"h264": (33,), "resize": (0.5,), "blur": (2,), "noise": (10,)}
)
"""One of each degradation that robustness is measured under elsewhere, about the middle one."""


@dataclass(frozen=True, slots=True)
class Scores:
    """Scored clips. ``validation`` and ``test`` are of known forgeries, ``unseen`` of the test
    people's others, each with the real clips; ``orders`` are ``test`` with frames in another order,
    ``degraded`` its figures under degradation."""

    validation: ScoreTable
    test: ScoreTable
    unseen: ScoreTable
    orders: dict[Order, ScoreTable]
    degraded: list[Degraded]


def score_all(scorer: Scorer, dataset: PreparedDataset, console: Console) -> Scores:
    """Score everything that is measured. Raises ``EvaluationError``."""

    def score(
        part: Part = "test",
        methods: tuple[str, ...] = KNOWN,
        transform: Transform | None = None,
        order: Order | None = None,
    ) -> ScoreTable:
        wanted = [*methods, REAL]
        return score_videos(
            scorer, dataset, part, wanted, transform, order=order, progress=progress
        )

    with Progress(console=console) as progress:
        test = score()
        return Scores(
            validation=score("validation"),
            test=test,
            unseen=score(methods=UNSEEN),
            orders={order: score(order=order) for order in ORDERS},
            degraded=robustness(
                lambda change: score(transform=change) if change else test, levels=LEVELS
            ),
        )


def figures(scores: Scores, point: OperatingPoint, dataset: PreparedDataset) -> list[Metric]:
    """The figures, those over everybody first. Raises ``EvaluationError`` where there are none."""
    return [
        *_over_everybody(scores),
        *_by_family(scores.test),
        *_by_person(scores.test, shown(dataset)),
        *_by_order(scores),
        *_degraded(scores.degraded),
        *_verdicts(scores.test, point, "forged faces"),
        *_verdicts(scores.unseen, point, f"forged faces of unseen family {'+'.join(UNSEEN)}"),
        *_verdicts(scores.test, point, "real faces"),
    ]


def on_the_benchmark(
    known: ScoreTable, unseen: ScoreTable, point: OperatingPoint, person_of: dict[str, str]
) -> list[Metric]:
    """Figures of a model whose own forgeries were others than the benchmark's.

    ``known`` and ``unseen`` are the test people's clips of the families that the benchmark trains
    on and of those that it does not; ``person_of``, whom each video shows.
    """
    counted = f"{_counted(known, 'clip', 'clips')} of {_people(known)} {PEOPLE}"
    return [
        _metric(BENCHMARK, auc(known), counted),
        *_by_family(known, BENCHMARK),
        *_by_family(unseen, BENCHMARK),
        *_by_person(known, person_of, BENCHMARK),
        *_verdicts(known, point, f"forged faces of {BENCHMARKS}"),
        *_verdicts(known, point, f"real faces of {BENCHMARKS}"),
    ]


def auc(table: ScoreTable, level: Level = "clip") -> Estimate:
    """Area under the ROC curve; its interval draws people."""
    return measure(table, level).auc


def _over_everybody(scores: Scores) -> Iterator[Metric]:
    names: list[tuple[str, Level, str]] = [
        ("clip_auc", "clip", "clips"),
        ("face_auc_2s", "face", "faces of about two seconds"),
    ]
    for name, level, what in names:
        for table, family in ((scores.test, ""), (scores.unseen, "+".join(UNSEEN))):
            counted = _counted(table, level, what)
            of = f" unseen family {family}" if family else ""
            yield _metric(name + of, auc(table, level), f"{counted} of {_people(table)} {PEOPLE}")


def _by_family(test: ScoreTable, name: str = "clip_auc") -> Iterator[Metric]:
    for method in test.methods():
        table = test.select(methods=[method, REAL])
        forged, real = int(table.fake.sum()), int((~table.fake).sum())
        data = f"{forged} forged and all {real} real clips of the test people"
        yield _metric(f"{name} family {method}", auc(table), data)


def _by_person(
    test: ScoreTable, person_of: dict[str, str], name: str = "clip_auc"
) -> Iterator[Metric]:
    people = np.array([person_of[video] for video in test.video.tolist()])
    for number, person in enumerate(sorted(set(people.tolist())), start=1):
        own = test.take(people == person)
        found = Estimate(auc(own).value)
        data = f"{_counted(own, 'clip', 'clips')} of this person"
        yield _metric(f"{name} test person {number}", found, data)


def _by_order(scores: Scores) -> Iterator[Metric]:
    for order, name in ORDERS.items():
        data = "the same clips, their frames in another order"
        yield _metric(f"clip_auc frames {name}", auc(scores.orders[order]), data)
    lost = difference(scores.test, scores.orders["repeated"], "clip")
    data = "how far the AUC of the same clips falls, over the same people"
    yield _metric("clip_auc lost with the middle frame repeated", lost, data)


def _degraded(rows: list[Degraded]) -> Iterator[Metric]:
    for row in rows:
        if row.kind is not None:
            data = "the same clips, degraded after faces were found"
            yield _metric(
                f"clip_auc under {row.kind}, {row.level:g} {UNITS[row.kind]}", row.auc, data
            )


def _verdicts(table: ScoreTable, point: OperatingPoint, what: str) -> Iterator[Metric]:
    """How faces fall on the operating point. What is called fake has an interval over people."""
    label = "real" if what.startswith("real") else "fake"
    found = measure(table, "face", threshold=point.uncertain_high, point=point)
    intervals = {"real": _rest(found.specificity), "fake": found.recall}
    faces = int((at_level(table, "face").label == label).sum())
    data = f"{faces} faces of about two seconds of {_people(table)} test people"
    for verdict, share in verdict_shares(table, point).get(label, {}).items():
        shown = intervals[label] if verdict == "fake" else Estimate(share)
        yield _metric(f"{what} called {verdict}", shown, data)


def _rest(share: Estimate) -> Estimate:
    """1 less a share."""
    value, low, high = (
        None if each is None else 1 - each for each in (share.value, share.high, share.low)
    )
    return Estimate(value, low, high, share.reason)


def _metric(name: str, found: Estimate, data: str) -> Metric:
    if found.value is None:
        raise EvaluationError(f"{name} cannot be measured: {found.reason}")
    low, high = (None if each is None else round(each, 3) for each in (found.low, found.high))
    return Metric(name=name, value=round(found.value, 3), data=data, low=low, high=high)


def _counted(table: ScoreTable, level: Level, what: str) -> str:
    fake = at_level(table, level).fake
    return f"{int(fake.sum())} forged and {int((~fake).sum())} real {what}"


def _people(table: ScoreTable) -> int:
    return len(frozenset[str]().union(*table.persons()))
