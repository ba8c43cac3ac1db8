"""An evaluation as files for people: Markdown, and one HTML file that needs nothing else."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from html import escape
from pathlib import Path

from matplotlib.figure import Figure

from service.evaluation.papers import table_six
from service.evaluation.result import Group, Result
from service.evaluation.rows import ItemRow
from service.evaluation.tally import Tally
from service.evaluation.timelines import timelines
from service.measures.levels import LEVELS
from service.measures.metrics import Estimate, Measures
from service.measures.pictures import histograms, png, roc_curves
from service.measures.rendering import MISSING, Table, hypertext, markdown, with_interval

MISTAKES = 20
DRAWN = 5

TITLE = "Evaluation"

ABOUT = (
    "Figures are of the videos that have a score. A score is a reason to look closer, never a "
    "proof: what the model was trained on, and how often it errs elsewhere, stands in its card."
)

_FIGURES = {
    "recall": "recall",
    "precision": "precision",
    "F1": "f1",
    "AUC": "auc",
    "EER": "eer",
    "AP": "ap",
}


def write_report(tally: Tally, result: Result, folder: Path) -> list[Path]:
    """Write ``report.md`` with its pictures, ``report.html`` and ``result.json``; the paths.
    Raises ``OSError``."""
    pictures = {name: png(figure) for name, figure in _pictures(tally)}
    tables = [*_tables(tally, result)]
    files = {f"{name}.png": data for name, data in pictures.items()}
    files["report.md"] = _markdown(result, tables, pictures).encode()
    files["report.html"] = _html(result, tables, pictures).encode()
    files["result.json"] = (result.model_dump_json(indent=1) + "\n").encode()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return [folder / name for name in files]


def summary(result: Result) -> Table:
    """What fits a terminal: recall and AUC of videos, by dataset."""
    return Table(
        title="Videos",
        columns=("dataset", "scored", "recall", "AUC"),
        rows=tuple(
            (
                _name(group),
                f"{group.coverage.ok} of {group.coverage.items}",
                with_interval(_videos(group).recall),
                with_interval(_videos(group).auc),
            )
            for group in result.groups
        ),
    )


def _tables(tally: Tally, result: Result) -> Iterator[Table]:
    yield _coverage(result)
    for level in LEVELS:
        yield _figures(result, level)
    yield table_six(result)
    yield _mistakes(tally)


def _coverage(result: Result) -> Table:
    unscored = ", ".join(
        f"{code}: {count}" for code, count in result.groups[0].coverage.unscored.items()
    )
    return Table(
        title="What was looked at",
        columns=(
            *("dataset", "videos", "forged", "real", "scored", "no face", "errors"),
            *("undecided", "forged ones called fake, of all"),
        ),
        rows=tuple(
            (
                _name(group),
                *(str(n) for n in (each.items, each.fake, each.real, each.ok, each.no_face)),
                str(each.errors),
                str(each.uncertain),
                f"{each.called_fake} of {each.fake}",
            )
            for group in result.groups
            for each in [group.coverage]
        ),
        notes=(f"Errors by code: {unscored}.",) if unscored else (),
    )


def _figures(result: Result, level: str) -> Table:
    chosen = [
        (group, each) for group in result.groups for each in group.measures if each.level == level
    ]
    kind = "the network's scores" if level == "clip" else "the service's scores"
    threshold = chosen[0][1].threshold
    reasons = sorted(
        {
            estimate.reason
            for _, each in chosen
            for name in _FIGURES.values()
            for estimate in [_estimate(each, name)]
            if estimate.value is None and estimate.reason
        }
    )
    return Table(
        title=f"{level.capitalize()}s: {kind}, called fake from {threshold:g} on",
        columns=("dataset", *_FIGURES, "forged", "real"),
        rows=tuple(
            (
                _name(group),
                *(_cell(_estimate(each, name)) for name in _FIGURES.values()),
                str(each.counts.fake),
                str(each.counts.real),
            )
            for group, each in chosen
        ),
        notes=(
            *(f"{MISSING}: {reason}." for reason in reasons),
            "Intervals (95 %) draw groups with replacement; a video without a group is its own.",
            *_OF_LEVEL.get(level, ()),
        ),
    )


_OF_LEVEL = {
    "face": (
        "A face counts as its video does: one left as it was beside a forged one is a miss here.",
    )
}


def _mistakes(tally: Tally) -> Table:
    wrong = list(tally.mistakes(MISTAKES))
    return Table(
        title="The worst mistakes",
        columns=("id", "dataset", "label", "score", "verdict"),
        rows=tuple(map(_mistake, wrong)),
        notes=() if wrong else ("None among the videos that have a score.",),
    )


def _mistake(row: ItemRow) -> tuple[str, ...]:
    return row.id, row.dataset, row.label, f"{row.score:.3f}", row.verdict or MISSING


def _pictures(tally: Tally) -> Iterator[tuple[str, Figure]]:
    rows = tally.table("video")
    if not len(rows):
        return
    yield "scores", histograms(rows, "video", "Scores of videos")
    roc = roc_curves(rows, "video", "Videos")
    if roc is not None:
        yield "roc", roc
    wrong = [*tally.mistakes(DRAWN)]
    if wrong:
        yield "mistakes", timelines(wrong, tally)


def _head(result: Result) -> list[str]:
    model = ", ".join(result.models) or "no model: nothing was scored"
    strategy = ", ".join(result.strategies)
    return [f"Model: {model}{f' ({strategy})' if strategy else ''}.", ABOUT, *result.notes]


def _markdown(result: Result, tables: list[Table], pictures: dict[str, bytes]) -> str:
    images = [f"![{name}]({name}.png)\n" for name in pictures]
    parts = [f"# {TITLE}\n", *(f"{_plain(line)}\n" for line in _head(result))]
    first, *rest = (markdown(_literal(table)) for table in tables)
    return "\n".join([*parts, first, *images, *rest])


def _literal(table: Table) -> Table:
    """The same in Markdown: whatever stands in it is text, never markup."""
    return Table(
        title=table.title,
        columns=table.columns,
        rows=tuple(tuple(map(_plain, row)) for row in table.rows),
        notes=tuple(map(_plain, table.notes)),
    )


def _plain(text: str) -> str:
    return _MARKUP.sub(r"\\\g<0>", text)


_MARKUP = re.compile(r"[\\`*_\[\]<>!#&~]")


def _html(result: Result, tables: list[Table], pictures: dict[str, bytes]) -> str:
    images = "".join(
        f'<img alt="{name}" src="data:image/png;base64,{base64.b64encode(data).decode()}">'
        for name, data in pictures.items()
    )
    head = "".join(f"<p>{escape(line)}</p>" for line in _head(result))
    body = hypertext(tables[0]) + images + "".join(map(hypertext, tables[1:]))
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">"
        f"<title>{TITLE}</title><style>{_STYLE}</style><h1>{TITLE}</h1>{head}{body}</html>\n"
    )


_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;"
    "color:#1a1a1a;background:#fff}"
    "table{border-collapse:collapse;margin:.5rem 0;display:block;overflow-x:auto}"
    "th,td{border-bottom:1px solid #ccc;padding:.25rem .75rem;text-align:left;"
    "font-variant-numeric:tabular-nums}"
    "caption{text-align:left;font-weight:600;padding:1rem 0 .25rem}"
    "img{max-width:100%;margin:1rem 1rem 0 0}"
    "small{color:#555;display:block}"
)


def _name(group: Group) -> str:
    return "all" if group.dataset is None else group.dataset or "(unnamed)"


def _videos(group: Group) -> Measures:
    return next(each for each in group.measures if each.level == "video")


def _estimate(measures: Measures, name: str) -> Estimate:
    estimate: Estimate = getattr(measures, name)
    return estimate


def _cell(estimate: Estimate) -> str:
    return MISSING if estimate.value is None else with_interval(estimate)
