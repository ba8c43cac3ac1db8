"""The papers' tables with our figures beside the printed ones, and what training cost.

A printed figure is shown exactly as it is printed. A cell that was not run here is ``–``; a cell
that the paper leaves empty stays empty.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path

from model_export.evaluation.metrics import Estimate, spread
from model_export.evaluation.origin import stand_ins
from model_export.evaluation.papers import (
    AVERAGE,
    LABELS,
    METHOD,
    TABLES,
    PaperTable,
    Row,
    published_minutes,
)
from model_export.evaluation.rendering import Table, write_table
from model_export.evaluation.results import Cost, Result

NOT_RUN = "–"
RECALL = "R"
"""Marks a recall where the test videos are all forged and F1 means nothing."""


def comparison(name: str, results: Sequence[Result], origin: str, *, figure: str = "f1") -> Table:
    """The table ``name`` (of ``papers.TABLES``) with ``figure`` of ``results`` beside it.

    ``origin`` is that of the dataset (``Preparation.origin``): where it is synthetic, the title and
    every row of ours say so. Ours are in %, mean ± standard deviation over seeds. Raises
    ``ValueError`` where results of several levels are mixed.
    """
    if len({result.measures.level for result in results}) > 1:
        raise ValueError("a table holds results of one level")
    paper = TABLES[name]
    printed = paper.rows()
    columns = [column for column in printed[0] if column not in paper.keys]
    rows: list[tuple[str, ...]] = []
    for _, group in groupby(printed, key=lambda row: [row[key] for key in paper.keys[:-1]]):
        rows += _group(paper, list(group), columns, results, origin, figure)
    keys = [key.replace("_", " ") for key in paper.keys]
    return Table(
        title=f"{paper.title}{stand_ins(origin, ': ours on ')}",
        columns=(*keys, *(column.replace("_", " ") for column in columns)),
        rows=tuple(rows),
        notes=_notes(results, origin, figure),
    )


def cost_table(costs: Iterable[Cost], origin: str) -> Table:
    """Samples and seconds an epoch, epochs and minutes in all, by network, strategy and stage, with
    the printed minutes an epoch (WWW '21, section 6.2.3)."""
    printed = published_minutes()
    groups: dict[tuple[str, ...], list[Cost]] = {}
    for cost in costs:
        what = "+".join(cost.trained_on)
        if cost.transferred_to:
            what += f" → {'+'.join(cost.transferred_to)}"
        key = (cost.architecture, cost.strategy, what, cost.stage)
        groups.setdefault(key, []).append(cost)
    rows = []
    for (architecture, strategy, what, stage), group in groups.items():
        minutes = printed.get((LABELS.get(architecture, ""), strategy))
        rows.append(
            (
                *(architecture, strategy, what, stage),
                _spread([cost.samples_per_epoch for cost in group], 0),
                _spread([cost.seconds_per_epoch for cost in group], 1),
                _spread([cost.epochs for cost in group], 0),
                _spread([cost.seconds_per_epoch * cost.epochs / 60 for cost in group], 1),
                "" if minutes is None else f"{minutes * 60:g}",
            )
        )
    return Table(
        title=f"Cost of training (section 6.2.3, WWW '21){stand_ins(origin, ': ours on ')}",
        columns=(
            *("network", "strategy", "methods", "stage", "samples an epoch", "seconds an epoch"),
            *("epochs", "minutes in all", "seconds an epoch, published"),
        ),
        rows=tuple(rows),
        notes=(f"Ours: {origin}; mean ± standard deviation over seeds.",),
    )


def write_tables(
    results: Sequence[Result], costs: Sequence[Cost], origin: str, folder: Path
) -> list[Path]:
    """Write every table of the papers and the cost as Markdown, CSV and LaTeX."""
    tables = {name: comparison(name, results, origin) for name in TABLES}
    tables["www21-cost"] = cost_table(costs, origin)
    return [path for stem, table in tables.items() for path in write_table(table, folder, stem)]


def _group(
    paper: PaperTable,
    printed: Sequence[Row],
    columns: Sequence[str],
    results: Sequence[Result],
    origin: str,
    figure: str,
) -> list[tuple[str, ...]]:
    """The rows of one block: each printed one with ours under it, then networks of ours alone."""
    keys = tuple(printed[0][key] for key in paper.keys[:-1])
    settings = [paper.setting(printed[0], c) for c in columns if c != AVERAGE]
    ran = dict.fromkeys(
        result.architecture for result in results if any(each.holds(result) for each in settings)
    )

    def ours(architecture: str | None, label: str) -> tuple[str, ...]:
        own = [result for result in results if result.architecture == architecture]
        name = f"{label}, ours{stand_ins(origin, ' on ')}"
        return (*keys, name, *_cells(paper, printed[0], columns, own, figure))

    rows: list[tuple[str, ...]] = []
    for row in printed:
        label = row[METHOD]
        rows.append((*keys, f"{label}, published", *(row[column] for column in columns)))
        members = [each for each in ran if _is(each, label)]
        if len(members) < 2:
            rows.append(ours(members[0] if members else None, label))
        else:
            rows += [ours(each, f"{label} ({each})") for each in members]
        for each in members:
            del ran[each]
    return [*rows, *(ours(architecture, architecture) for architecture in ran)]


def _is(architecture: str, label: str) -> bool:
    """Whether the papers' ``label`` (``DBiRNN (Sabir et al.)``) means our ``architecture``."""
    return LABELS.get(architecture) == label.partition(" (")[0]


def _cells(
    paper: PaperTable, row: Row, columns: Sequence[str], own: Sequence[Result], figure: str
) -> list[str]:
    """Our figures under ``columns``; the average only of seeds that have every cell of it."""
    by_column: dict[str, dict[int, tuple[float, bool]]] = {}
    for column in columns:
        if column != AVERAGE:
            held = [each for each in own if paper.setting(row, column).holds(each)]
            by_column[column] = {
                each.seed: value for each in held if (value := _figure(each, figure)) is not None
            }
    cells = []
    for column in columns:
        if column == AVERAGE:
            every = list(by_column.values())
            seeds = set.intersection(*(set(values) for values in every))
            means = [sum(values[s][0] for values in every) / len(every) for s in sorted(seeds)]
            cells.append(_spread(means, 2))
        else:
            values = by_column[column].values()
            mark = f"{RECALL} " if any(recall for _, recall in values) else ""
            cells.append(mark + _spread([value for value, _ in values], 2))
    return cells


def _figure(result: Result, figure: str) -> tuple[float, bool] | None:
    """The figure in %, and whether it is a recall because there is no other."""
    wanted: Estimate = getattr(result.measures, figure)
    if wanted.value is not None:
        return 100 * wanted.value, False
    recall = result.measures.recall.value
    return None if recall is None else (100 * recall, True)


def _spread(values: Sequence[float], digits: int) -> str:
    if not values:
        return NOT_RUN
    found = spread(values)
    text = f"{found.mean:.{digits}f}"
    return text if found.deviation is None else f"{text}±{found.deviation:.{digits}f}"


def _notes(results: Sequence[Result], origin: str, figure: str) -> tuple[str, ...]:
    level = results[0].measures.level if results else "clip"
    seeds = len({result.seed for result in results})
    said = stand_ins(
        origin, "Ours is measured on ", " for the methods in the heading, not on those methods. "
    )
    return (
        f"Published: F1 in %. Ours: {figure} of forged in % by {level}, mean ± "
        f"standard deviation over up to {seeds} seed(s); {RECALL}: recall, where all test videos "
        f"are forged; {NOT_RUN}: not run.",
        f"{said}Data of ours: {origin}.",
    )
