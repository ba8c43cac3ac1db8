"""All figures of one model: by method, by attacker and over everything, at every level."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

from model_export.data.video import REAL
from model_export.evaluation.attackers import ATTACKERS, by_attacker
from model_export.evaluation.subject import Lineage
from service.classifier.contract import OperatingPoint
from service.measures.figures import FIGURES
from service.measures.levels import LEVELS, Level
from service.measures.metrics import Estimate, Measures, measure, point_of
from service.measures.rendering import MISSING, Table, mean_and_spread
from service.measures.table import ScoreTable

ALL = "all"
INDENT = "\N{NO-BREAK SPACE}" * 2
UNSAID = "unknown"
"""The attacker where nobody said what the model was trained on."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Figures of a ``group``: a method, all methods of an attacker, or all. ``attacker`` is empty
    for all, ``methods`` are those of the group."""

    group: str
    attacker: str
    methods: tuple[str, ...]
    measures: Measures


def find(
    table: ScoreTable,
    lineage: Lineage | None,
    levels: Sequence[Level] = LEVELS,
    point: OperatingPoint | None = None,
    draws: int = 1000,
    seed: int = 0,
) -> list[Finding]:
    """Every group at every level, each against all real videos of the table."""
    groups: list[tuple[str, str, list[str]]] = [(ALL, "", table.methods())]
    if lineage is None:
        groups += [(method, UNSAID, [method]) for method in table.methods()]
    else:
        attackers = by_attacker(table.methods(), lineage.trained_on, lineage.transferred_to)
        for name, methods in attackers.items():
            groups.append((name, name, methods))
            groups += [(method, name, [method]) for method in methods]
    return [
        Finding(
            group,
            who,
            tuple(methods),
            measure(
                table.select(methods=[*methods, REAL]),
                level,
                draws=draws,
                seed=seed,
                point=point_of(level, point),
            ),
        )
        for level in levels
        for group, who, methods in groups
    ]


def summary(findings: Sequence[Finding], level: Level, title: str, *, full: bool = False) -> Table:
    """The figures at one level. Narrow enough to be printed, with the interval of AUC alone; or,
    ``full``, all of them with theirs."""
    chosen = [each for each in findings if each.measures.level == level]
    shown = {**_SHOWN, **(_HIDDEN if full else {})}
    write = _narrow if full else _plain
    reasons = {_estimate(each, name).reason for each in chosen for name in FIGURES} - {None}
    notes = [f"{MISSING}: {reason}." for reason in sorted(map(str, reasons))]
    if chosen:
        notes.append(f"Intervals (95 %) draw {chosen[0].measures.counts.drawn} with replacement.")
    return Table(
        title=title,
        columns=("group", *shown, "AUC (95 %)", "forged", "real"),
        rows=tuple(
            (
                _indented(each),
                *(write(_estimate(each, name)) for name in shown.values()),
                _narrow(each.measures.auc),
                str(each.measures.counts.fake),
                str(each.measures.counts.real),
            )
            for each in chosen
        ),
        notes=tuple(notes),
    )


_SHOWN = {"recall": "recall", "prec.": "precision", "F1": "f1", "EER": "eer", "ECE": "ece"}
_HIDDEN = {"spec.": "specificity", "bal. acc.": "balanced_accuracy", "AP": "ap"}


def every_figure(findings: Sequence[Finding], title: str, origin: str) -> Table:
    """A row a figure, with nothing left out. Each says of what data (``Preparation.origin``), since
    rows of CSV are read without what stands above them."""
    return Table(
        title=title,
        columns=(
            *("level", "group", "attacker", "methods", "figure", "value", "low", "high"),
            *("reason", "threshold", "fake", "real", "people", "data"),
        ),
        rows=tuple(
            (
                *(each.measures.level, each.group, each.attacker, "+".join(each.methods), name),
                *(_digits(value) for value in (found.value, found.low, found.high)),
                found.reason or "",
                str(each.measures.threshold),
                *(str(count) for count in _counts(each)),
                origin,
            )
            for each in findings
            for name in FIGURES
            for found in [_estimate(each, name)]
        ),
    )


def as_json(findings: Sequence[Finding], **about: object) -> str:
    """Everything, with what it is about."""
    return json.dumps({**about, "findings": [asdict(each) for each in findings]}, indent=1) + "\n"


def over_models(models: Sequence[tuple[str, Sequence[Finding]]], level: Level, title: str) -> Table:
    """The figures of several models, each with its kind (``Subject.kind``), group by group: mean ±
    standard deviation over those of one kind (seeds), which alone have a mean that means something.
    Only groups that all models of a kind have."""
    kinds: dict[str, list[dict[str, Finding]]] = {}
    for kind, findings in models:
        groups = {each.group: each for each in findings if each.measures.level == level}
        kinds.setdefault(kind, []).append(groups)
    return Table(
        title=title,
        columns=("models", "", "group", *_SPREAD),
        rows=tuple(
            (kind, str(len(alike)), _indented(finding), *_spreads(alike, group))
            for kind, alike in kinds.items()
            for group, finding in alike[0].items()
            if all(group in each for each in alike)
        ),
        notes=(
            "Mean ± standard deviation over models of one network trained on the same methods, "
            "whose number stands behind them. What else they differ in, their own files say.",
        ),
    )


_SPREAD = {**_SHOWN, "AUC": "auc"}


def _spreads(alike: Sequence[Mapping[str, Finding]], group: str) -> Iterator[str]:
    for name in _SPREAD.values():
        values = [_estimate(each[group], name).value for each in alike]
        known = [value for value in values if value is not None]
        yield mean_and_spread(known, 3) if len(known) == len(values) else MISSING


def _indented(finding: Finding) -> str:
    """A method stands under its attacker."""
    under = finding.group != finding.attacker and finding.attacker in ATTACKERS
    return f"{INDENT}{finding.group}" if under else finding.group


def _estimate(finding: Finding, name: str) -> Estimate:
    estimate: Estimate = getattr(finding.measures, name)
    return estimate


def _narrow(estimate: Estimate) -> str:
    if estimate.low is None or estimate.high is None:
        return _plain(estimate)
    return f"{_plain(estimate)} ({estimate.low:.3f}–{estimate.high:.3f})"


def _plain(estimate: Estimate) -> str:
    return MISSING if estimate.value is None else f"{estimate.value:.3f}"


def _digits(value: float | None) -> str:
    return "" if value is None else repr(value)


def _counts(finding: Finding) -> tuple[int, int, int]:
    counts = finding.measures.counts
    return counts.fake, counts.real, counts.people
