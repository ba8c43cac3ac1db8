"""Everything that is measured of one model, and the files it is written to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from matplotlib.figure import Figure
from rich.progress import Progress

from model_export.data.prepared import PreparedDataset
from model_export.data.video import REAL, Part
from model_export.errors import EvaluationError
from model_export.evaluation import plots
from model_export.evaluation.adversary import Attack, attack_table, under_attack
from model_export.evaluation.calibration import How, calibrate, save_point, verdict_shares
from model_export.evaluation.findings import Finding, as_json, every_figure, find, summary
from model_export.evaluation.orders import ORDERS, Order
from model_export.evaluation.origin import titled
from model_export.evaluation.rendering import marked, write_table
from model_export.evaluation.restoration import restore
from model_export.evaluation.robustness import robustness, robustness_table
from model_export.evaluation.score_file import save_scores
from model_export.evaluation.scores import Transform, score_videos
from model_export.evaluation.subject import Subject
from service.classifier.contract import OperatingPoint
from service.measures import pictures
from service.measures.levels import LEVELS, Level, at_level
from service.measures.metrics import difference, measure, point_of
from service.measures.rendering import Table, markdown, with_interval
from service.measures.table import ScoreTable


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is measured: ``part`` and ``methods`` (None: all) of the dataset, pictures and tests at
    ``level``, ``draws`` of people for intervals, and the tests that take their time."""

    part: Part = "test"
    methods: tuple[str, ...] | None = None
    level: Level = "clip"
    draws: int = 1000
    calibrate: How | None = None
    orders: bool = False
    robustness: bool = False
    attacks: tuple[Attack, ...] = ()
    attack_real: bool = False
    batch: int = 32


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What was measured. ``tables`` and ``figures`` go by the names of their files."""

    subject: Subject
    origin: str
    part: Part
    scores: ScoreTable
    findings: list[Finding]
    point: OperatingPoint | None
    calibrated: bool
    """Whether ``point`` was found here, rather than read from the model."""
    warnings: tuple[str, ...] = ()
    """What has to be known before any figure is believed."""
    tables: dict[str, Table] = field(default_factory=dict)
    figures: dict[str, Figure] = field(default_factory=dict)

    def warning_notes(self) -> tuple[str, ...]:
        """The warnings as notes of a table."""
        return tuple(f"Warning: {warning}." for warning in self.warnings)


def evaluate(
    subject: Subject, dataset: PreparedDataset, wanted: Wanted, progress: Progress | None = None
) -> Evaluation:
    """Measure ``subject``. Faces and videos are measured at the operating point that is found here
    on the validation part, or at the model's own; clips as the network scores them.

    Raises ``EvaluationError`` where a test cannot be made of this model or this dataset.
    """
    network = subject.network
    if wanted.attacks and network is None:
        network = restore(subject.path)

    def score(
        transform: Transform | None = None,
        order: Order | None = None,
        part: Part = wanted.part,
        methods: Sequence[str] | None = wanted.methods,
    ) -> ScoreTable:
        return score_videos(
            *(subject.scorer, dataset, part, methods, transform, wanted.batch, order),
            progress=progress,
        )

    point = subject.point
    if wanted.calibrate:
        if wanted.part == "validation":
            raise EvaluationError("what is calibrated on the validation part is not measured on it")
        point = calibrate(
            score(part="validation", methods=_known(subject, wanted)), wanted.calibrate
        )
    scores = score()
    done = Evaluation(
        subject=subject,
        origin=dataset.preparation.origin,
        part=wanted.part,
        scores=scores,
        findings=find(scores, subject.lineage, LEVELS, point, wanted.draws),
        point=point,
        calibrated=wanted.calibrate is not None,
        warnings=tuple(subject.met.warnings(frozenset().union(*scores.persons()))),
    )
    level, of = wanted.level, f"{subject.name}: {wanted.part} part"
    title = titled(of, done.origin)
    measures = summary(done.findings, level, f"{of}, by {level}")
    done.tables["measures"] = replace(measures, notes=(*done.warning_notes(), *measures.notes))
    if point is not None:
        done.tables["verdicts"] = _verdicts(scores, point)
    done.figures.update(_pictures(scores, level, title, point))
    if wanted.orders:
        by_order = {order: scores if order == "as_is" else score(order=order) for order in ORDERS}
        done.tables["orders"] = _orders(by_order, level, wanted.draws, subject.scorer.length)
    if wanted.robustness:
        rows = robustness(lambda transform: score(transform), level, draws=wanted.draws)
        done.tables["robustness"] = robustness_table(rows, level)
        done.figures["robustness"] = plots.robustness_curves(rows, title)
    if wanted.attacks and network is not None:
        attacked = under_attack(
            *(network.detector, network.scaling, dataset, wanted.part, wanted.attacks),
            wanted.methods,
            level=level,
            point=point,
            length=network.length,
            real_too=wanted.attack_real,
            draws=wanted.draws,
            progress=progress,
        )
        done.tables["attacks"] = attack_table(attacked, level, point, real_too=wanted.attack_real)
        done.figures["attacks"] = plots.attack_curves(attacked, title)
    return replace(
        done, tables={stem: marked(table, done.origin) for stem, table in done.tables.items()}
    )


def write(evaluation: Evaluation, folder: Path) -> None:
    """Write scores, figures, tables and pictures. Raises ``EvaluationError`` naming the file."""
    about = _about(evaluation)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "measures.json").write_text(as_json(evaluation.findings, **about))
        (folder / "measures.md").write_text(_page(evaluation))
    except OSError as error:
        raise EvaluationError(f"{folder} cannot be written: {error.strerror}") from error
    save_scores(evaluation.scores, folder / "scores.csv")
    figures = every_figure(evaluation.findings, "all", evaluation.origin)
    write_table(figures, folder, "measures", ("csv",))
    for stem, table in evaluation.tables.items():
        if stem != "measures":
            write_table(table, folder, stem)
    for stem, figure in evaluation.figures.items():
        plots.save_figure(figure, folder / f"{stem}.png")
    if evaluation.calibrated and evaluation.point is not None:
        save_point(evaluation.point, folder / "operating_point.json")


def _page(evaluation: Evaluation) -> str:
    """All tables as Markdown, the figures at every level first."""
    point = evaluation.point
    lines = [f"# {evaluation.subject.name}", ""]
    lines += [f"- {key.replace('_', ' ')}: {value}" for key, value in _about(evaluation).items()]
    if point is not None:
        lines.append(f"- faces and videos at the operating point: {point.calibration}")
    for level in LEVELS:
        table = summary(evaluation.findings, level, f"By {level}", full=True)
        lines += ["", markdown(marked(table, evaluation.origin))]
    lines += [
        "\n" + markdown(table) for stem, table in evaluation.tables.items() if stem != "measures"
    ]
    return "\n".join(lines) + "\n"


def _about(evaluation: Evaluation) -> dict[str, str]:
    subject = evaluation.subject
    warned = {"warning": "; ".join(evaluation.warnings)} if evaluation.warnings else {}
    return {
        **warned,
        "model": str(subject.path),
        "architecture": subject.architecture,
        "trained": str(subject.lineage) if subject.lineage else "unknown",
        "seed": "unknown" if subject.seed is None else str(subject.seed),
        "data": evaluation.origin,
        "part": evaluation.part,
    }


def _known(subject: Subject, wanted: Wanted) -> Sequence[str] | None:
    """The methods to calibrate on: those the model was trained on, since whoever sets its
    operating point has no videos of the others."""
    lineage = subject.lineage
    if lineage is None:
        return wanted.methods
    return [*lineage.trained_on, *lineage.transferred_to, REAL]


def _verdicts(scores: ScoreTable, point: OperatingPoint) -> Table:
    names = {"fake": "forged", "real": "real"}
    shares = verdict_shares(scores, point)
    return Table(
        title="Verdicts on faces at the operating point",
        columns=("faces", "called fake", "uncertain", "called real"),
        rows=tuple(
            (names[label], *(f"{share:.1%}" for share in by_verdict.values()))
            for label, by_verdict in shares.items()
        ),
        notes=(
            f"score = sigmoid({point.scale:g} * logit(raw) {point.offset:+g}); uncertain from "
            f"{point.uncertain_low:g} to {point.uncertain_high:g}.",
            f"{point.calibration}.",
        ),
    )


def _orders(tables: dict[Order, ScoreTable], level: Level, draws: int, length: int) -> Table:
    straight = tables["as_is"]
    rows = []
    for order, table in tables.items():
        auc = with_interval(measure(table, level, draws=draws).auc)
        change = difference(table, straight, level, draws=draws)
        rows.append((order, auc, "" if order == "as_is" else with_interval(change, signed=True)))
    single = ("The network sees single frames: their order cannot matter.",) if length == 1 else ()
    return Table(
        title=f"Does the order of frames matter? AUC by {level}",
        columns=("frames", "AUC (95 %)", "change (95 %)"),
        rows=tuple(rows),
        notes=(
            *single,
            "Shuffled: another order drawn for each clip; repeated: the middle frame alone.",
        ),
    )


def _pictures(
    scores: ScoreTable, level: Level, title: str, point: OperatingPoint | None
) -> Iterator[tuple[str, Figure]]:
    rows = at_level(scores, level)
    yield "histograms", pictures.histograms(rows, level, title)
    roc = pictures.roc_curves(rows, level, title)
    if roc is not None:
        yield "roc", roc
    reliability = plots.reliability(scores, level, title, point_of(level, point))
    if reliability is not None:
        yield "reliability", reliability
