"""From raw scores to a threshold and an uncertain band, on people who neither train nor test."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from model_export.demo.evaluation import ScoredCase
from service.classifier.contract import OperatingPoint

THRESHOLD = 0.5
REAL_BELOW = 0.95
"""Share of real validation faces that stay below the uncertain band's upper end."""
FAKE_ABOVE = 0.9
"""Share of forged validation faces that stay above its lower end."""
NARROWEST = (0.4, 0.7)
WIDEST = (0.25, 0.9)
"""The band covers at least the first and at most the second span of calibrated scores: so few
people cannot place it finer, and calling a real face fake is the worse error."""

PRIOR_DEVIATION = 0.5
"""Of the logarithm of the scale and of the offset, around the identity: the network was trained on
as many real as forged frames, so its scores are near their meaning from the start."""


def calibrate(scored: Sequence[ScoredCase], abstain: str | None) -> OperatingPoint:
    """The operating point, from face scores (two sustained seconds): what verdicts are taken on.

    Platt's logistic fit with his smoothed targets, real and forged faces weighing the same in
    total, so that 0.5 is even odds where a forged face is as likely as a real one. The band then
    spans from where too many forged faces would be missed to where too many real ones would be
    called fake.
    """
    faces = np.array([case.face for case in scored])
    fake = np.array([case.fake for case in scored])
    people = len({case.person for case in scored})
    # Videos of one person resemble each other: a person counts as one real and one forged face.
    scale, offset = platt(_logit(faces), fake, 2 * people)
    calibrated = 1 / (1 + np.exp(-(scale * _logit(faces) + offset)))
    high = float(np.quantile(calibrated[~fake], REAL_BELOW))
    low = float(np.quantile(calibrated[fake], 1 - FAKE_ABOVE))
    return OperatingPoint(
        threshold=THRESHOLD,
        uncertain_low=round(float(np.clip(low, WIDEST[0], NARROWEST[0])), 3),
        uncertain_high=round(float(np.clip(high, NARROWEST[1], WIDEST[1])), 3),
        scale=round(scale, 4),
        offset=round(offset, 4),
        calibration=(
            f"Platt scaling, held near the identity, of face scores over two seconds, "
            f"{int(fake.sum())} forged and {int((~fake).sum())} real videos of {people} validation "
            "people, both kinds weighing the same; "
            f"band: {REAL_BELOW:.0%} of the real below its upper end, {FAKE_ABOVE:.0%} "
            f"of the forged above its lower end, at least {NARROWEST[0]} to {NARROWEST[1]} and "
            f"within {WIDEST[0]} to {WIDEST[1]}; fit and band by few people are uncertain"
        ),
        abstain=abstain,
    )


def platt(
    logits: NDArray[np.float64], fake: NDArray[np.bool_], evidence: float
) -> tuple[float, float]:
    """Scale (positive) and offset of the logistic fit of Platt (1999) with his smoothed targets.

    Real and forged weigh the same, together as much as ``evidence`` independent faces, against a
    normal prior around scale 1 and offset 0.
    """
    count_fake, count_real = int(fake.sum()), int((~fake).sum())
    target = np.where(fake, (count_fake + 1) / (count_fake + 2), 1 / (count_real + 2))
    weight = evidence * np.where(fake, 0.5 / count_fake, 0.5 / count_real)

    def loss(parameters: NDArray[np.float64]) -> float:
        z = np.exp(parameters[0]) * logits + parameters[1]
        prior = float((parameters**2).sum()) / (2 * PRIOR_DEVIATION**2)
        return float((weight * (np.logaddexp(0, z) - target * z)).sum()) + prior

    found = minimize(loss, np.zeros(2), method="Nelder-Mead").x
    return float(np.exp(found[0])), float(found[1])


def _logit(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    clipped = np.clip(scores, 1e-7, 1 - 1e-7)
    return np.asarray(np.log(clipped / (1 - clipped)))
