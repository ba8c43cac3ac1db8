"""The papers' tables with our figures beside the printed ones.

A printed figure is shown exactly as it is printed. A cell that was not run here is ``–``; a cell
that the paper leaves empty stays empty.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from model_export.evaluation.costs import cost_table
from model_export.evaluation.origin import stand_ins
from model_export.evaluation.papers import (
    AVERAGE,
    LABELS,
    METHOD,
    TABLES,
    PaperTable,
    Row,
)
from model_export.evaluation.rendering import write_table
from model_export.evaluation.results import Cost, Result
from service.measures.metrics import Estimate
from service.measures.rendering import MISSING, Table, mean_and_spread

Shown = Literal["f1", "balanced_accuracy"]

SHOWN: Mapping[Shown, str] = MappingProxyType(
    {
        "f1": "F1 of forged",
        "balanced_accuracy": "balanced accuracy (50 where a detector is no better than chance, as "
        "the printed figures are there, and F1 of forged is not)",
    }
)
"""What is held against the printed figures, which are all called F1."""

RECALL = "R"
"""Marks a recall where the test videos are all forged and F1 means nothing."""


def comparison(name: str, results: Sequence[Result], origin: str, *, figure: Shown = "f1") -> Table:
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
    what = "" if figure == "f1" else ", balanced accuracy"
    return Table(
        title=f"{paper.title}{what}{stand_ins(origin, ': ours on ')}",
        columns=(*keys, *(column.replace("_", " ") for column in columns)),
        rows=tuple(rows),
        notes=(*_notes(results, origin, figure), *filter(None, [paper.remark])),
    )


def write_tables(
    results: Sequence[Result], costs: Sequence[Cost], origin: str, folder: Path
) -> list[Path]:
    """Write every table of the papers and the cost as Markdown, CSV and LaTeX."""
    tables = {"www21-cost": cost_table(costs, origin)}
    for name in TABLES:
        tables[name] = comparison(name, results, origin)
        tables[f"{name}-balanced-accuracy"] = comparison(
            name, results, origin, figure="balanced_accuracy"
        )
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
            cells.append(mean_and_spread(means, 2))
        else:
            values = by_column[column].values()
            mark = f"{RECALL} " if any(recall for _, recall in values) else ""
            cells.append(mark + mean_and_spread([value for value, _ in values], 2))
    return cells


def _figure(result: Result, figure: str) -> tuple[float, bool] | None:
    """The figure in %, and whether it is a recall because there is no other."""
    wanted: Estimate = getattr(result.measures, figure)
    if wanted.value is not None:
        return 100 * wanted.value, False
    recall = result.measures.recall.value
    return None if recall is None else (100 * recall, True)


def _notes(results: Sequence[Result], origin: str, figure: Shown) -> tuple[str, ...]:
    level = results[0].measures.level if results else "clip"
    seeds = len({result.seed for result in results})
    said = stand_ins(
        origin, "Ours is measured on ", " for the methods in the heading, not on those methods. "
    )
    return (
        f"Published: F1 in %. Ours: {SHOWN[figure]} in % by {level}, mean ± "
        f"standard deviation over up to {seeds} seed(s); {RECALL}: recall, where all test videos "
        f"are forged; {MISSING}: not run.",
        f"{said}Data of ours: {origin}.",
    )
