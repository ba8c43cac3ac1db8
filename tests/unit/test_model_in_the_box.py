"""The committed model keeps its contract, and its card says what its metadata says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import service
from service.classifier.classifier import Classifier, load_classifier

MODEL = Path(service.__file__).parent / "models" / "clrnet-demo.onnx"


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    """The model in the box, on the CPU."""
    return load_classifier(MODEL, device="cpu", threads=1)


def test_it_is_small() -> None:
    assert MODEL.stat().st_size < 15_000_000


def test_the_metadata_are_complete_and_honest(classifier: Classifier) -> None:
    contract = classifier.contract
    assert contract.name == "clrnet-demo"
    assert contract.architecture == "clrnet"
    assert contract.clip_length == 5
    assert 1.2 <= contract.crop_margin <= 1.6
    assert contract.licence.startswith("Apache-2.0")
    assert "not for decisions about real people" in contract.notice
    assert "unknown" not in (contract.trained_on, contract.strategy)
    assert "validation people" in contract.operating_point.calibration
    figures = {metric.name: metric for metric in contract.metrics}
    low = figures["clip_auc"].low
    assert low is not None
    # A model that is not shown to be better than chance must not give verdicts.
    assert (low <= 0.5) == (contract.operating_point.abstain is not None)


def test_it_scores_clips(classifier: Classifier) -> None:
    clips = np.random.default_rng(0).integers(0, 256, (3, 5, 128, 128, 3), dtype=np.uint8)
    together = classifier.score(clips, cam=True)
    assert together.fake.shape == (3,)
    assert np.all((together.fake >= 0) & (together.fake <= 1))
    assert together.cam is not None
    assert np.isfinite(together.cam).all()
    singly = np.concatenate([classifier.score(clip[None]).fake for clip in clips])
    assert np.abs(together.fake - singly).max() < 1e-6


def test_the_card_has_the_figures_of_the_metadata(classifier: Classifier) -> None:
    contract, card = classifier.contract, MODEL.with_suffix(".md").read_text()
    for metric in contract.metrics:
        between = "" if metric.low is None else f"{metric.low:.3f} to {metric.high:.3f}"
        assert f"| {metric.name} | {metric.value:.3f} | {between} | {metric.data} |" in card
    rows = [line for line in card.splitlines() if line.startswith("| ")]
    assert len(rows) == len(contract.metrics) + 1
    for text in (contract.notice, contract.trained_on, contract.strategy, contract.weights_sha256):
        assert text in card
    point = contract.operating_point
    for number in (point.scale, point.offset, point.uncertain_low, point.uncertain_high):
        assert f"{abs(number)}" in card


def test_the_card_is_what_the_metadata_make(classifier: Classifier, tmp_path: Path) -> None:
    from model_export.demo.card import write_card

    path = tmp_path / "card.md"
    write_card(path, classifier.contract, MODEL.stat().st_size)
    assert path.read_text() == MODEL.with_suffix(".md").read_text()
