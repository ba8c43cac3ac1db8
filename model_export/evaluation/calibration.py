"""From raw scores to a threshold and an uncertain band, on people who neither train nor test.

Two maps of the log-odds: Platt's (1999), a scale and an offset, and temperature scaling (Guo et
al. 2017), a scale alone. Both keep the order of scores, and both are what an operating point can
hold.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError
from scipy.optimize import minimize

from model_export.errors import EvaluationError
from model_export.files import replace_text
from service.classifier.contract import OperatingPoint
from service.measures.bootstrap import units
from service.measures.levels import at_level
from service.measures.metrics import calibrate_scores
from service.measures.table import ScoreTable
from service.scoring import verdict

How = Literal["platt", "temperature"]

WAYS: tuple[How, ...] = get_args(How)
_NAMES = {"platt": "Platt scaling", "temperature": "temperature scaling"}

THRESHOLD = 0.5
REAL_BELOW = 0.95
"""Share of real validation faces that stay below the uncertain band's upper end."""
FAKE_ABOVE = 0.9
"""Share of forged validation faces that stay above its lower end."""
NARROWEST = (0.4, 0.7)
WIDEST = (0.25, 0.9)
"""The band covers at least the first and at most the second span of calibrated scores: few people
cannot place it finer, and calling a real face fake is the worse error."""

PRIOR_DEVIATION = 0.5
"""Of the logarithm of the scale and of the offset, around the identity: a network trained on as
many real as forged clips has scores near their meaning from the start."""


def calibrate(table: ScoreTable, how: How = "platt", abstain: str | None = None) -> OperatingPoint:
    """The operating point from the clips of a validation part.

    It is found on face scores, which verdicts are taken on. Real and forged faces weigh the same in
    total, so that 0.5 is even odds where a forged face is as likely as a real one. The band spans
    from where too many forged faces would be missed to where too many real ones would be called
    fake. ``abstain`` is the reason why this model should never decide. Raises ``EvaluationError``
    where one kind is missing.
    """
    faces = at_level(table, "face")
    fake = faces.fake
    if not fake.any() or fake.all():
        raise EvaluationError("calibration needs real and forged faces of the validation part")
    drawn = units(faces)
    # Videos of one person resemble each other: each counts as one real and one forged face.
    scale, offset = fit(log_odds(faces.score), fake, 2 * drawn.count, how)
    point = OperatingPoint(scale=round(scale, 4), offset=round(offset, 4))
    calibrated = calibrate_scores(faces.score, point)
    low = float(np.quantile(calibrated[fake], 1 - FAKE_ABOVE))
    high = float(np.quantile(calibrated[~fake], REAL_BELOW))
    return OperatingPoint(
        threshold=THRESHOLD,
        uncertain_low=round(float(np.clip(low, WIDEST[0], NARROWEST[0])), 3),
        uncertain_high=round(float(np.clip(high, NARROWEST[1], WIDEST[1])), 3),
        scale=point.scale,
        offset=point.offset,
        calibration=(
            f"{_NAMES[how]}, held near the identity, of the scores of {int(fake.sum())} forged and "
            f"{int((~fake).sum())} real faces ({drawn.name}) that neither train nor test, both "
            f"kinds weighing the same; band: {REAL_BELOW:.0%} of the real below its upper end, "
            f"{FAKE_ABOVE:.0%} of the forged above its lower end, at least {NARROWEST[0]} to "
            f"{NARROWEST[1]} and within {WIDEST[0]} to {WIDEST[1]}; fit and band by few people are "
            "uncertain"
        ),
        abstain=abstain,
    )


def fit(
    logits: NDArray[np.float64], fake: NDArray[np.bool_], evidence: float, how: How
) -> tuple[float, float]:
    """Scale (positive) and offset (0 for a temperature) of a logistic fit with the smoothed targets
    of Platt (1999).

    Real and forged weigh the same, together as much as ``evidence`` independent faces, against a
    normal prior around scale 1 and offset 0.
    """
    count_fake, count_real = int(fake.sum()), int((~fake).sum())
    target = np.where(fake, (count_fake + 1) / (count_fake + 2), 1 / (count_real + 2))
    weight = evidence * np.where(fake, 0.5 / count_fake, 0.5 / count_real)

    def loss(parameters: NDArray[np.float64]) -> float:
        log_scale, offset = parameters if how == "platt" else (parameters[0], 0.0)
        z = np.exp(log_scale) * logits + offset
        prior = float((parameters**2).sum()) / (2 * PRIOR_DEVIATION**2)
        return float((weight * (np.logaddexp(0, z) - target * z)).sum()) + prior

    found = minimize(loss, np.zeros(2 if how == "platt" else 1), method="Nelder-Mead").x
    return float(np.exp(found[0])), float(found[1]) if how == "platt" else 0.0


def log_odds(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Logit, of scores held as far from 0 and 1 as the service holds them."""
    clipped = np.clip(scores, 1e-7, 1 - 1e-7)
    return np.asarray(np.log(clipped / (1 - clipped)))


def verdict_shares(table: ScoreTable, point: OperatingPoint) -> dict[str, dict[str, float]]:
    """The shares of forged and of real faces that the point calls fake, uncertain and real."""
    faces = at_level(table, "face")
    calibrated = calibrate_scores(faces.score, point)
    shares = {}
    for label in ("fake", "real"):
        called = [verdict(score, point) for score in calibrated[faces.label == label].tolist()]
        if called:
            shares[label] = {
                name: called.count(name) / len(called) for name in ("fake", "uncertain", "real")
            }
    return shares


def save_point(point: OperatingPoint, path: Path) -> None:
    """Write the point as JSON, for an export to take up."""
    try:
        replace_text(path, point.model_dump_json(indent=2) + "\n")
    except OSError as error:
        raise EvaluationError(f"{path} cannot be written: {error.strerror}") from error


def load_point(path: Path) -> OperatingPoint:
    """What ``save_point`` wrote. Raises ``EvaluationError`` naming the file."""
    try:
        return OperatingPoint.model_validate_json(path.read_bytes())
    except OSError as error:
        raise EvaluationError(f"{path} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        raise EvaluationError(f"{path} holds no operating point: {error.errors()[0]['msg']}") from (
            error
        )
