"""Does a transfer beat a merge, and a merge a single domain, on forgeries nobody trained on?

That is the papers' claim (WWW '21, table 6). Here it is asked per network over several seeds, and
answered with what was measured, whichever way it comes out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from model_export.experiments.strategy import Kind

ORDER: tuple[Kind, ...] = ("transfer", "merge", "single")
"""The papers' claim, best first."""

ScoresBySeed = Mapping[int, float]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two strategies over the same seeds: how often the first was better and by how much (mean
    and standard deviation of the difference; None for a single seed)."""

    better: Kind
    worse: Kind
    wins: int
    seeds: int
    difference: float
    deviation: float | None

    @property
    def holds(self) -> bool:
        """Whether it came out as claimed: better on average and for most of the seeds."""
        return self.difference > 0 and 2 * self.wins > self.seeds

    @property
    def beyond_spread(self) -> bool:
        """Whether the difference is larger than its own spread over seeds."""
        return self.deviation is not None and self.difference > self.deviation


def compare(scores: Mapping[Kind, ScoresBySeed]) -> list[Comparison]:
    """Each neighbouring pair of ``ORDER``, seed by seed. Raises ``ValueError`` where the
    strategies do not share a seed."""
    return [
        _pair(better, worse, scores[better], scores[worse]) for better, worse in pairwise(ORDER)
    ]


def verdict(architecture: str, comparisons: Sequence[Comparison]) -> str:
    """One sentence: whether the claim came out for this network, over how many seeds, and how
    far apart the strategies were."""
    claim = " > ".join(ORDER)
    seeds = max(each.seeds for each in comparisons)
    over = "one seed, which proves little" if seeds == 1 else f"{seeds} seeds"
    came = "came out" if all(each.holds for each in comparisons) else "did not come out"
    if came == "came out" and seeds > 1 and not all(each.beyond_spread for each in comparisons):
        came = "came out by less than differs between seeds"
    gaps = "; ".join(
        f"{each.better} - {each.worse} {each.difference:+.3f}"
        f"{'' if each.deviation is None else f' ± {each.deviation:.3f}'}, "
        f"ahead for {each.wins} of {each.seeds}"
        for each in comparisons
    )
    return f"{architecture}: {claim} {came}, over {over} ({gaps})."


def _pair(better: Kind, worse: Kind, first: ScoresBySeed, second: ScoresBySeed) -> Comparison:
    shared = sorted(set(first) & set(second))
    if not shared:
        raise ValueError(f"{better} and {worse} have no seed in common")
    differences = np.array([first[seed] - second[seed] for seed in shared])
    return Comparison(
        better=better,
        worse=worse,
        wins=int((differences > 0).sum()),
        seeds=len(shared),
        difference=float(differences.mean()),
        deviation=float(differences.std(ddof=1)) if len(shared) > 1 else None,
    )
