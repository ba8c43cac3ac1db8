"""A suite's outcome as files: tables, pictures, and a page that says what came out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from model_export.data.prepared import PreparedDataset
from model_export.data.video import PARTS, REAL
from model_export.evaluation.methods import OPEN, TRAINED
from model_export.evaluation.rendering import marked, write_table
from model_export.evaluation.results import Result, save_results
from model_export.evaluation.tables import write_tables
from model_export.experiments.budget import Budget, Stage
from model_export.experiments.figures import draw_matrix, draw_open_domain
from model_export.experiments.grid import Candidate, GridResult
from model_export.experiments.ordering import Comparison, compare, verdict
from model_export.experiments.strategy import Kind
from model_export.experiments.suite import Outcome
from service.measures.rendering import Table, markdown


def write_outcome(
    outcome: Outcome, dataset: PreparedDataset, budget: Budget, command: str, folder: Path
) -> Path:
    """Write ``results.json``, ``tables/``, ``figures/`` and ``README.md``; gives the last."""
    origin = dataset.preparation.origin
    folder.mkdir(parents=True, exist_ok=True)
    save_results(outcome.results, folder / "results.json")
    write_tables(outcome.results, outcome.costs, origin, folder / "tables")
    for architecture, grid in outcome.grids.items():
        table = marked(grid_table(architecture, grid, origin), origin)
        write_table(table, folder / "tables", f"grid-{architecture}")
    networks = list(dict.fromkeys(each.architecture for each in outcome.results))
    for architecture in networks:
        draw_matrix(
            outcome.results, architecture, folder / "figures" / f"{architecture}.png", origin
        )
    draw_open_domain(outcome.results, folder / "figures" / "open-domain.png", origin)
    page = folder / "README.md"
    page.write_text(_page(outcome, dataset, budget, command, networks))
    return page


def grid_table(architecture: str, grid: GridResult, origin: str) -> Table:
    """Every candidate of the restricted grid with its figures on the open domain."""
    rows = tuple(_candidate(each, grid) for each in grid.candidates)
    return Table(
        title=f"Restricted grid (Algorithm 1, WWW '21), {architecture}: clip F1 on {OPEN} in %",
        columns=("source", "target", "strategy", "half to choose", "half reported", "whole", ""),
        rows=rows,
        notes=(
            "Forged videos in the half to choose, the half reported and the whole: "
            f"{', '.join(map(str, grid.chosen.score.videos))}, and as many real clips as forged "
            "ones in each. With so few, candidates near each other are equals.",
            "The best is chosen on one half of the open domain's people and reported on the other; "
            "'oracle' would have been chosen on the whole of it, as the paper does.",
            f"Measured on {origin}.",
        ),
    )


def budget_table(budget: Budget) -> Table:
    """What each network is and how long each of its stages lasts."""
    rows = [
        (
            architecture,
            ", ".join(f"{key} {value}" for key, value in model.options.items()) or "as published",
            kind,
            *_stage(stage),
        )
        for architecture, model in budget.models.items()
        for kind, stages in (("from scratch", model.stages), ("transfer", model.transfer))
        for stage in stages
    ]
    return Table(
        title=f"Budget '{budget.name}': {budget.size} px, {budget.few_shot} + {budget.few_shot} "
        "videos of each method in a transfer",
        columns=(
            *("network", "options", "training", "stage", "frames", "epochs", "samples an epoch"),
            *("batch", "rate", "frozen"),
        ),
        rows=tuple(rows),
    )


def ordering_table(results: Sequence[Result]) -> tuple[Table, list[str]]:
    """Single, merge and transfer on the open domain by network (clip AUC, each seed), and a
    sentence for each network that ran all three."""
    networks = list(dict.fromkeys(each.architecture for each in results))
    rows: list[tuple[str, ...]] = []
    sentences = []
    for architecture in networks:
        scores = _open_domain(results, architecture)
        if any(not scores[kind] for kind in scores):
            continue
        comparisons = compare(scores)
        rows += [_compared(architecture, each, scores) for each in comparisons]
        sentences.append(verdict(architecture, comparisons))
    table = Table(
        title=f"Clip AUC on {OPEN}: transfer (NT to the others), merge (all), single (FS)",
        columns=("network", "claim", "first", "second", "difference", "± over seeds", "ahead"),
        rows=tuple(rows),
    )
    return table, sentences


def _page(
    outcome: Outcome,
    dataset: PreparedDataset,
    budget: Budget,
    command: str,
    networks: Sequence[str],
) -> str:
    ordering, sentences = ordering_table(outcome.results)
    parts = [
        "# Results\n",
        f"Made by\n\n```\n{command}\n```\n",
        f"on {dataset.preparation.origin}.\n",
        markdown(_videos(dataset)),
        markdown(budget_table(budget)),
        "## Does transfer beat merge, and merge single?\n",
        f"Measured as clip AUC on {OPEN}, which no model saw, and on stand-ins alone: this says "
        "how the strategies compare here, not on the forgeries of these names.\n",
        markdown(marked(ordering, dataset.preparation.origin))
        if sentences
        else "Not every strategy was run.\n",
        *(f"- {sentence}" for sentence in sentences),
        "",
        "![Open domain](figures/open-domain.png)\n",
        *(
            _grid_lines(architecture, grid, dataset.preparation.origin)
            for architecture, grid in outcome.grids.items()
        ),
        "## Tables and pictures\n",
        "The papers' tables with these figures beside the published ones, and the cost of "
        "training, are in `tables/` as Markdown, CSV and LaTeX.\n",
        *(f"![{each}](figures/{each}.png)\n" for each in networks),
    ]
    return "\n".join(parts)


def _videos(dataset: PreparedDataset) -> Table:
    rows = []
    for method in (REAL, *TRAINED, OPEN):
        videos = [dataset.videos(part, [method]) for part in PARTS]
        rows.append((method, *(f"{len(v)} ({sum(e.clips for e in v)})" for v in videos)))
    failed = sum(row.status != "ok" for row in dataset.rows)
    return Table(
        title="Videos (clips)",
        columns=("method", *PARTS),
        rows=tuple(rows),
        notes=(f"{failed} of {len(dataset.rows)} videos gave no clips.",),
    )


def _stage(stage: Stage) -> tuple[str, ...]:
    return (
        stage.name,
        str(stage.length or "all"),
        str(stage.schedule.epochs),
        str(stage.schedule.samples_per_epoch or "all"),
        str(stage.schedule.batch),
        f"{stage.optimiser.rate:g}",
        stage.freeze,
    )


def _candidate(candidate: Candidate, grid: GridResult) -> tuple[str, ...]:
    strategy, score = candidate.strategy, candidate.score
    marks = [
        name
        for name, marked in (("chosen", grid.chosen), ("oracle", grid.oracle))
        if marked is candidate
    ]
    return (
        "+".join(strategy.sources),
        "+".join(strategy.targets) or "–",
        strategy.kind,
        *(_percent(value) for value in (score.chosen_on, score.reported_on, score.whole)),
        ", ".join(marks),
    )


def _grid_lines(architecture: str, grid: GridResult, origin: str) -> str:
    chosen, oracle = grid.chosen, grid.oracle
    return (
        f"## Restricted grid search, {architecture}\n\n"
        f"Chosen on one half of {OPEN}'s people: {chosen.strategy}, F1 "
        f"{_percent(chosen.score.chosen_on)} there and {_percent(chosen.score.reported_on)} on the "
        f"other half. The oracle, chosen on all of it: {oracle.strategy}, "
        f"{_percent(oracle.score.whole)}.\n\n{markdown(grid_table(architecture, grid, origin))}"
    )


def _open_domain(results: Sequence[Result], architecture: str) -> Mapping[Kind, dict[int, float]]:
    """AUC by seed of the three models of table 6."""
    wanted: dict[Kind, tuple[str, ...]] = {
        "single": ("FS",),
        "merge": tuple(sorted(TRAINED)),
        "transfer": ("NT",),
    }
    found: dict[Kind, dict[int, float]] = {kind: {} for kind in wanted}
    for each in results:
        for kind, sources in wanted.items():
            targets = len(each.transferred_to) in (0, len(TRAINED) - 1)
            if (
                (each.architecture, each.strategy, each.method_tested) == (architecture, kind, OPEN)
                and each.trained_on == sources
                and targets
                and each.measures.auc.value is not None
            ):
                found[kind][each.seed] = each.measures.auc.value
    return found


def _compared(
    architecture: str, comparison: Comparison, scores: Mapping[Kind, Mapping[int, float]]
) -> tuple[str, ...]:
    first, second = (scores[kind] for kind in (comparison.better, comparison.worse))
    deviation = comparison.deviation
    return (
        architecture,
        f"{comparison.better} > {comparison.worse}",
        ", ".join(f"{first[seed]:.3f}" for seed in sorted(first)),
        ", ".join(f"{second[seed]:.3f}" for seed in sorted(second)),
        f"{comparison.difference:+.3f}",
        "–" if deviation is None else f"{deviation:.3f}",
        f"{comparison.wins} of {comparison.seeds}",
    )


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f}"
