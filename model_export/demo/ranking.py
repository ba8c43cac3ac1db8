"""Area under the ROC curve, and its interval by drawing people anew."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import rankdata


def auc(fake: ArrayLike, real: ArrayLike) -> float:
    """Probability that a random fake score lies above a random real one; ties count half."""
    fake, real = np.asarray(fake, dtype=np.float64), np.asarray(real, dtype=np.float64)
    if not len(fake) or not len(real):
        return float("nan")
    ranks = rankdata(np.concatenate([fake, real]))
    above = ranks[: len(fake)].sum() - len(fake) * (len(fake) + 1) / 2
    return float(above / (len(fake) * len(real)))


def interval_over_people(
    fake: Mapping[str, ArrayLike], real: Mapping[str, ArrayLike], draws: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """95 % interval of the AUC when people, not clips, are drawn with replacement.

    Clips of one person resemble each other: drawing clips would pretend to more evidence.
    """
    people = sorted(fake)
    rng = np.random.default_rng(seed)
    values = []
    for _ in range(draws):
        drawn = [people[index] for index in rng.integers(len(people), size=len(people))]
        values.append(
            auc(
                np.concatenate([np.asarray(fake[name]) for name in drawn]),
                np.concatenate([np.asarray(real[name]) for name in drawn]),
            )
        )
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)
