"""Operating points: the fit, the band, the file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from model_export.errors import EvaluationError
from model_export.evaluation.calibration import (
    NARROWEST,
    WIDEST,
    calibrate,
    fit,
    load_point,
    save_point,
    verdict_shares,
)
from service.classifier.contract import OperatingPoint
from service.measures.levels import at_level
from service.measures.metrics import measure
from service.measures.table import ScoreTable
from service.scoring import calibrate as service_calibrate
from tests.unit.model_export.evaluation.made import plain_table, table_of


def _validation(centre: float, gap: float, people: int = 60, noise: float = 1.0) -> ScoreTable:
    """Real and forged videos whose log-odds lie ``gap`` to either side of ``centre``."""
    rng = np.random.default_rng(2)
    videos = []
    for person in range(people):
        for method, side in (("DF", 1), ("real", -1)):
            logits = centre + side * gap + rng.normal(0, noise)
            score = float(1 / (1 + np.exp(-logits)))
            videos.append((f"{method}{person}", f"p{person}", method, [score] * 12))
    return table_of(*videos, part="validation")


def test_platt_finds_the_logistic() -> None:
    rng = np.random.default_rng(1)
    logits = rng.normal(0, 2, 20_000)
    fake = rng.random(20_000) < 1 / (1 + np.exp(-1.5 * logits))
    assert fit(logits, fake, 20_000, "platt") == pytest.approx((1.5, 0.0), abs=0.1)
    # Little evidence leaves it near the identity.
    assert fit(logits, fake, 0.1, "platt") == pytest.approx((1.0, 0.0), abs=0.05)


def test_a_temperature_keeps_even_odds_where_they_were() -> None:
    rng = np.random.default_rng(1)
    logits = rng.normal(0, 2, 20_000)
    fake = rng.random(20_000) < 1 / (1 + np.exp(-0.5 * logits))
    scale, offset = fit(logits, fake, 20_000, "temperature")
    assert scale == pytest.approx(0.5, abs=0.05)
    assert offset == 0


def test_scores_that_lean_to_one_side_are_moved_back() -> None:
    table = _validation(centre=-2.0, gap=1.5)
    before = measure(table, "face", draws=5)
    point = calibrate(table)
    after = measure(table, "face", draws=5, point=point)
    assert point.offset > 1
    assert before.balanced_accuracy.value is not None
    assert after.balanced_accuracy.value is not None
    assert before.ece.value is not None
    assert after.ece.value is not None
    assert after.balanced_accuracy.value > before.balanced_accuracy.value + 0.2
    assert after.ece.value < before.ece.value - 0.1
    assert after.auc.value == before.auc.value


def test_boastful_scores_are_cooled() -> None:
    table = _validation(centre=0.0, gap=2.0, noise=6.0)
    point = calibrate(table, "temperature")
    assert point.scale < 0.6
    assert point.offset == 0
    assert measure(table, "face", draws=5, point=point).ece.value < (  # type: ignore[operator]
        measure(table, "face", draws=5).ece.value
    )
    assert point.calibration.startswith("temperature scaling")


def test_the_point_is_found_on_faces_not_clips() -> None:
    # Four seconds of a minute are forged: the mean of the clips is low, the face's score is high.
    burst = [0.02] * 120 + [0.9] * 20 + [0.02] * 120
    videos = [(f"f{n}", f"p{n}", "DF", burst) for n in range(20)]
    videos += [(f"r{n}", f"p{n}", "real", [0.02] * 260) for n in range(20)]
    point = calibrate(table_of(*videos))
    assert verdict_shares(table_of(*videos), point)["fake"]["real"] == 0
    assert "20 forged and 20 real faces (20 people)" in point.calibration


def test_the_band_lets_through_what_it_says() -> None:
    # Wide enough apart in noise that neither bound of the band is at its limits.
    table = _validation(centre=0.0, gap=0.7, people=400, noise=0.9)
    point = calibrate(table)
    faces = at_level(table, "face")
    calibrated = np.array([service_calibrate(raw, point) for raw in faces.score.tolist()])
    assert WIDEST[0] < point.uncertain_low < NARROWEST[0]
    assert NARROWEST[1] < point.uncertain_high < WIDEST[1]
    assert np.mean(calibrated[~faces.fake] < point.uncertain_high) == pytest.approx(0.95, abs=0.01)
    assert np.mean(calibrated[faces.fake] > point.uncertain_low) == pytest.approx(0.9, abs=0.01)
    shares = verdict_shares(table, point)
    assert shares["real"]["fake"] == pytest.approx(0.05, abs=0.01)
    assert shares["fake"]["real"] == pytest.approx(0.1, abs=0.01)


@pytest.mark.parametrize("gap", [0.0, 5.0])
def test_the_band_stays_within_its_limits(gap: float) -> None:
    point = calibrate(_validation(centre=0.0, gap=gap, people=6))
    assert WIDEST[0] <= point.uncertain_low <= NARROWEST[0]
    assert NARROWEST[1] <= point.uncertain_high <= WIDEST[1]


def test_a_point_goes_through_its_file(tmp_path: Path) -> None:
    point = calibrate(_validation(0.0, 1.0), abstain="no better than chance")
    save_point(point, tmp_path / "point.json")
    assert load_point(tmp_path / "point.json") == point
    assert point.abstain == "no better than chance"
    (tmp_path / "point.json").write_text('{"threshold": 2}')
    with pytest.raises(EvaluationError, match=r"point\.json holds no operating point"):
        load_point(tmp_path / "point.json")
    with pytest.raises(EvaluationError, match="cannot be read"):
        load_point(tmp_path / "absent.json")


def test_one_kind_of_face_cannot_be_calibrated() -> None:
    with pytest.raises(EvaluationError, match="real and forged"):
        calibrate(plain_table([0.4], []))


def test_abstaining_calls_everything_uncertain() -> None:
    point = OperatingPoint(abstain="untried")
    shares = verdict_shares(plain_table([0.9], [0.1]), point)
    assert shares == {"fake": {"fake": 0, "uncertain": 1, "real": 0}} | {
        "real": {"fake": 0, "uncertain": 1, "real": 0}
    }
