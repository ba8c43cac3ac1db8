"""What a fast model costs: its AUC and verdicts against those of the model it was made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model_export.evaluation.calibration import log_odds
from model_export.quantisation.sensitivity import rms
from service.classifier.contract import OperatingPoint
from service.measures.bootstrap import Units, units
from service.measures.levels import LEVELS, Level, at_level
from service.measures.metrics import (
    ONE_PERSON,
    Estimate,
    calibrate_scores,
    difference,
    measure_rows,
)
from service.measures.rendering import Table, with_interval
from service.measures.table import ScoreTable
from service.scoring import verdict


@dataclass(frozen=True, slots=True)
class Cost:
    """Of the same clips at one level. ``change`` is of the AUC, fast less source; ``changed`` the
    share of verdicts that are others, ``opposite`` that went from fake to real or back. ``error``
    is the root mean square difference of log-odds, ``bias`` their mean, ``worst`` the largest."""

    level: Level
    fake: int
    real: int
    source: Estimate
    fast: Estimate
    change: Estimate
    changed: Estimate
    opposite: Estimate
    error: float
    bias: float
    worst: float


def cost(
    source: ScoreTable,
    fast: ScoreTable,
    level: Level,
    point: OperatingPoint,
    draws: int = 1000,
    seed: int = 0,
) -> Cost:
    """Compare two scorings of the same clips, whose verdicts fall at ``point``.

    A model that never decides is taken for one that does: what changes is what is asked for.
    Intervals are over people, and of ``change`` over the same for both. Raises ``ValueError`` for
    other clips.
    """
    change = difference(fast, source, level, draws=draws, seed=seed)
    point = point.model_copy(update={"abstain": None})
    before, after = at_level(source, level), at_level(fast, level)
    old, new = (_verdicts(each, point) for each in (before, after))
    apart = log_odds(after.score) - log_odds(before.score)
    drawn = units(before)
    return Cost(
        level=level,
        fake=int(before.fake.sum()),
        real=int((~before.fake).sum()),
        source=measure_rows(before, level, draws=draws, seed=seed).auc,
        fast=measure_rows(after, level, draws=draws, seed=seed).auc,
        change=change,
        changed=_share(old != new, drawn, draws, seed),
        opposite=_share((old != new) & _decided(old) & _decided(new), drawn, draws, seed),
        error=rms(apart),
        bias=float(apart.mean()),
        worst=float(np.abs(apart).max()),
    )


def costs(
    source: ScoreTable, fast: ScoreTable, point: OperatingPoint, draws: int = 1000
) -> list[Cost]:
    """``cost`` at every level."""
    return [cost(source, fast, level, point, draws) for level in LEVELS]


def cost_table(found: Sequence[Cost], title: str) -> Table:
    """The costs for people."""
    rows = tuple(
        (
            *(each.level, f"{each.fake} + {each.real}"),
            *(with_interval(each.source), with_interval(each.fast)),
            with_interval(each.change, signed=True),
            *(with_interval(each.changed), with_interval(each.opposite)),
            f"{each.error:.3f} (mean {each.bias:+.3f}, largest {each.worst:.2f})",
        )
        for each in found
    )
    return Table(
        title,
        (
            *("level", "forged + real", "AUC before", "AUC after", "change"),
            *("verdicts changed", "fake to real or back", "log-odds apart"),
        ),
        rows,
        ("AUC and shares with 95 % intervals over people; log-odds: root mean square.",),
    )


def _verdicts(rows: ScoreTable, point: OperatingPoint) -> NDArray[np.str_]:
    scores = calibrate_scores(rows.score, point)
    return np.array([verdict(score, point) for score in scores.tolist()])


def _decided(verdicts: NDArray[np.str_]) -> NDArray[np.bool_]:
    return np.asarray(verdicts != "uncertain")


def _share(chosen: NDArray[np.bool_], drawn: Units, draws: int, seed: int) -> Estimate:
    found = float(chosen.mean())
    if drawn.count < 2:
        return Estimate(found, reason=ONE_PERSON)
    shares = []
    for weights in drawn.weights(draws, seed):
        total = weights.sum(axis=1)
        some = total > 0
        shares.append((weights[some] @ chosen) / total[some])
    low, high = np.quantile(np.concatenate(shares), (0.025, 0.975))
    return Estimate(found, float(low), float(high))
