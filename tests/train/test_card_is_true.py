"""The committed model, measured again on two of its test people, reaches what its card says."""

from __future__ import annotations

from pathlib import Path

import pytest

import service
from model_export.demo.cases import CASE_FRAMES, make_cases
from model_export.demo.evaluation import clip_auc, evaluate, score_cases
from model_export.demo.prepare import parts, read_people
from model_export.demo.publish import onnx_scorer
from model_export.demo.recipe import CASE_SEEDS
from service.classifier.classifier import load_classifier
from tests.shared import SHARED, needs_shared

PEOPLE = ("lp_d0", "vr_1")
"""Those with the shortest videos: the whole test takes minutes."""


@needs_shared("faces", "real")
@pytest.mark.slow
def test_two_people_are_told_apart_as_the_card_says() -> None:
    folder = SHARED / "faces" / "real"
    everybody = sorted(parts(folder)["test"])
    assert set(PEOPLE) <= set(everybody)
    model = load_classifier(Path(service.__file__).parent / "models" / "clrnet-demo.onnx")
    figures = {metric.name: metric.value for metric in model.contract.metrics}

    runs = read_people(folder, PEOPLE, CASE_FRAMES, 6, 1)
    cases = [case for name in PEOPLE for case in make_cases(name, runs, CASE_SEEDS["test"])]
    scored = score_cases(cases, onnx_scorer(model))
    print(evaluate(scored))
    for name in PEOPLE:
        # Donors of swaps are drawn from two people instead of six: not the very same videos.
        card = figures[f"clip_auc test person {everybody.index(name) + 1}"]
        own = clip_auc([case for case in scored if case.person == name])
        assert own == pytest.approx(card, abs=0.1)
    assert clip_auc(scored) > 0.74
