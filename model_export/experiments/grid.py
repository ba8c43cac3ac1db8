"""Algorithm 1 of the WWW '21 paper: a grid search restricted by what the forgeries have in common.

Methods that change the expression (F2F, NT) and methods that change the person (DF, FS, DFD) are
combined: for every non-empty subset i of the first and j of the second a transfer and a merge
are candidates. The text leaves open which of the two is the source of a transfer; here it is i,
and every candidate's row names it.

The paper picks the best on the very domain it reports. That is an oracle. Here the choice is
made on one half of the open domain's people and reported on the other; the oracle's figure stands
beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, combinations

from model_export.errors import EvaluationError
from model_export.evaluation.methods import EXPRESSION, IDENTITY
from model_export.experiments.strategy import Strategy, from_scratch, transfer


@dataclass(frozen=True, slots=True)
class OpenDomainScore:
    """A model on the half of the open domain to choose by, on the other half, and on the whole;
    None where that cannot be said. Higher is better. ``videos`` counts the forged videos of the
    three: with few of them, near neighbours in the table are equals."""

    chosen_on: float | None
    reported_on: float | None
    whole: float | None
    videos: tuple[int, int, int] = (0, 0, 0)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A trained strategy and how it did."""

    strategy: Strategy
    score: OpenDomainScore


@dataclass(frozen=True, slots=True)
class GridResult:
    """``candidates`` in the order they were tried; ``chosen`` by the half for choosing; ``oracle``
    by the whole open domain, as the paper does."""

    candidates: tuple[Candidate, ...]
    chosen: Candidate
    oracle: Candidate


def pairs() -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Every non-empty subset i of ``EXPRESSION`` with every non-empty subset j of ``IDENTITY``."""
    return [(i, j) for i in _subsets(EXPRESSION) for j in _subsets(IDENTITY)]


def strategies() -> Iterator[Strategy]:
    """The candidates: for every pair its transfer, then its merge."""
    for i, j in pairs():
        yield transfer(i, j)
        yield from_scratch((*i, *j))


def search(
    candidates: Sequence[Strategy],
    score: Callable[[Strategy], OpenDomainScore],
) -> GridResult:
    """Score every candidate and pick: the highest, among equals the one with fewer methods, then
    the one tried first.

    Raises ``EvaluationError`` where no candidate has a score.
    """
    tried = tuple(Candidate(strategy, score(strategy)) for strategy in candidates)
    return GridResult(
        candidates=tried,
        chosen=_best([(each.score.chosen_on, each) for each in tried]),
        oracle=_best([(each.score.whole, each) for each in tried]),
    )


def _best(scored: Sequence[tuple[float | None, Candidate]]) -> Candidate:
    able = [(value, candidate) for value, candidate in scored if value is not None]
    if not able:
        raise EvaluationError("no candidate of the grid has a score on the open domain")
    # max takes the first of equals.
    return max(able, key=lambda pair: (pair[0], -len(pair[1].strategy.methods)))[1]


def _subsets(methods: Sequence[str]) -> list[tuple[str, ...]]:
    sizes = range(1, len(methods) + 1)
    return list(chain.from_iterable(combinations(methods, size) for size in sizes))
