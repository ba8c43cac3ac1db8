"""Everything the papers' tables need, one strategy after the other, on one prepared dataset."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from model_export.data.prepared import PreparedDataset
from model_export.data.video import REAL
from model_export.errors import EvaluationError
from model_export.evaluation.methods import OPEN, TRAINED
from model_export.evaluation.results import Cost, Result
from model_export.experiments.grid import GridResult, OpenDomainScore, search, strategies
from model_export.experiments.halves import balanced, halves
from model_export.experiments.laboratory import Job, Laboratory, Trained
from model_export.experiments.strategy import Strategy
from service.measures.metrics import measure
from service.measures.table import ScoreTable

DRAWS = 500
"""Of people, for an interval; most tables show means over seeds and need none."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a suite found; ``grids`` by network."""

    results: tuple[Result, ...]
    costs: tuple[Cost, ...]
    grids: dict[str, GridResult]


def run(
    laboratory: Laboratory,
    jobs: Sequence[Job],
    grids: Sequence[str],
    seed: int,
    tell: Callable[[str], None],
) -> Outcome:
    """Do every job, then the restricted grid of the networks ``grids`` at one ``seed``.

    ``tell`` gets a line for everything that is about to be done.
    """
    check(laboratory.dataset)
    results: list[Result] = []
    costs: dict[Cost, None] = {}

    def done(architecture: str, strategy: Strategy, number: int) -> ScoreTable:
        trained = laboratory.train(architecture, strategy, number)
        # Sources and candidates of the grid are shared: each training counts once.
        costs.update(dict.fromkeys(_costs(architecture, trained, number)))
        return laboratory.scores(trained)

    for place, (architecture, strategy, number) in enumerate(jobs, 1):
        tell(f"{place} of {len(jobs)}: {architecture}, {strategy}, seed {number}")
        results += _results(architecture, strategy, number, done(architecture, strategy, number))
    found = {}
    for architecture in grids:
        found[architecture] = grid = _search(architecture, seed, done, tell)
        best = grid.chosen.strategy
        _, reported = _open_halves(done(architecture, best, seed))
        results.append(_result(architecture, best, seed, reported, OPEN, named="grid"))
    return Outcome(tuple(results), tuple(costs), found)


def check(dataset: PreparedDataset) -> None:
    """Raise ``EvaluationError`` where a method is missing that the tables are about."""
    for part, methods in (("train", TRAINED), ("validation", TRAINED), ("test", (*TRAINED, OPEN))):
        there = {row.video.method for row in dataset.videos() if row.video.part == part}
        missing = [method for method in (*methods, REAL) if method not in there]
        if missing:
            raise EvaluationError(
                f"{dataset.folder} has no videos of {', '.join(missing)} in the part '{part}'"
            )


def _search(
    architecture: str,
    seed: int,
    done: Callable[[str, Strategy, int], ScoreTable],
    tell: Callable[[str], None],
) -> GridResult:
    candidates = list(strategies())

    def score(strategy: Strategy) -> OpenDomainScore:
        tell(f"grid, {candidates.index(strategy) + 1} of {len(candidates)}: {strategy}")
        return open_domain_score(done(architecture, strategy, seed))

    return search(candidates, score)


def open_domain_score(table: ScoreTable) -> OpenDomainScore:
    """F1 on the half of the open domain to choose by, on the other half, and on the whole."""
    whole, (first, second) = _open_domain(table), _open_halves(table)
    videos = (_forged_videos(first), _forged_videos(second), _forged_videos(whole))
    return OpenDomainScore(_f1(first), _f1(second), _f1(whole), videos)


def _open_domain(table: ScoreTable) -> ScoreTable:
    return balanced(_domain(table, OPEN))


def _open_halves(table: ScoreTable) -> tuple[ScoreTable, ScoreTable]:
    """The half of the open domain that the grid's choice is made on, and the one reported."""
    return halves(_open_domain(table))


def _results(
    architecture: str, strategy: Strategy, seed: int, table: ScoreTable
) -> Iterable[Result]:
    for method in table.methods():
        yield _result(architecture, strategy, seed, _domain(table, method), method)


def _result(
    architecture: str,
    strategy: Strategy,
    seed: int,
    table: ScoreTable,
    method: str,
    *,
    named: str | None = None,
) -> Result:
    return Result(
        architecture=architecture,
        strategy=named or strategy.kind,
        trained_on=strategy.sources,
        transferred_to=strategy.targets,
        method_tested=method,
        seed=seed,
        measures=measure(table, "clip", draws=DRAWS),
    )


def _costs(architecture: str, trained: Trained, seed: int) -> Iterator[Cost]:
    """Of every stage, those of the model it started from first."""
    if trained.source is not None:
        yield from _costs(architecture, trained.source, seed)
    for stage in trained.stages:
        yield Cost(
            architecture=architecture,
            strategy=trained.strategy.kind,
            trained_on=trained.strategy.sources,
            transferred_to=trained.strategy.targets,
            seed=seed,
            samples_per_epoch=round(stage.samples / stage.epochs),
            seconds_per_epoch=stage.seconds_per_epoch,
            epochs=stage.epochs,
            stage=stage.folder.name if len(trained.stages) > 1 else "",
        )


def _domain(table: ScoreTable, method: str) -> ScoreTable:
    return table.select(methods=[method, REAL])


def _forged_videos(table: ScoreTable) -> int:
    return len(set(table.video[table.fake].tolist()))


def _f1(table: ScoreTable) -> float | None:
    """Of clips at 0.5, the papers' criterion; of forged clips alone it would mean nothing."""
    return measure(table, "clip", draws=2).f1.value if len(table) else None
