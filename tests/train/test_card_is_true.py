"""The model in the box reaches what its card says: two of its test people, measured again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

import service
from model_export.data.video import REAL
from model_export.demo.card import metric_row
from model_export.demo.figures import BENCHMARK, auc
from model_export.demo.material import KNOWN, Amount, make_material
from model_export.evaluation.scores import score_onnx
from model_export.synthetic import benchmark
from model_export.synthetic.jobs import Job, jobs
from model_export.synthetic.people import find_people
from service.classifier.classifier import load_classifier
from tests.shared import SHARED, needs_shared

MODEL = Path(service.__file__).parent / "models" / "clrnet-demo.onnx"
CONTRACT = load_classifier(MODEL, device="cpu").contract
FACES = SHARED / "faces" / "real"
ON = BENCHMARK if BENCHMARK in {metric.name for metric in CONTRACT.metrics} else "clip_auc"
"""The card's figure on forgeries of the recipes that there are today."""
PEOPLE = ("vr_1", "vr_2")
"""Test people with the shortest videos: all of their test videos are made again."""


@pytest.fixture
def of_two_people(monkeypatch: pytest.MonkeyPatch) -> None:
    """Material of these two alone; the faces in their swaps come from all test people, as ever."""

    def few(*everything: Any) -> Iterator[Job]:
        return (job for job in jobs(*everything) if job.person.name in PEOPLE)

    monkeypatch.setattr(benchmark, "jobs", few)


def test_every_figure_of_the_metadata_is_on_the_card() -> None:
    rows = [row for row in MODEL.with_suffix(".md").read_text().splitlines() if row[:2] == "| "]
    assert rows[1:] == [metric_row(metric) for metric in CONTRACT.metrics]


@needs_shared("faces", "real")
@pytest.mark.slow
@pytest.mark.usefixtures("of_two_people")
def test_two_people_are_told_apart_as_the_card_says(tmp_path: Path) -> None:
    drawn = Amount()
    everybody = find_people(FACES, drawn.ratios, drawn.seed)
    tested = sorted(person.name for person in everybody if person.part == "test")
    assert set(PEOPLE) < set(tested)
    (tmp_path / "faces").mkdir()
    for name in tested:
        (tmp_path / "faces" / f"{name}.mp4").symlink_to(FACES / f"{name}.mp4")
    dataset = make_material(
        tmp_path / "faces",
        None,
        tmp_path,
        Amount(ratios=(0, 0, 1)),
        processes=2,
        console=Console(),
    )
    table = score_onnx(MODEL, dataset, "test", [*KNOWN, REAL], device="cpu")
    figures = {metric.name: metric for metric in CONTRACT.metrics}
    for name in PEOPLE:
        own = table.take(np.char.startswith(table.video, f"{name}-"))
        card = figures[f"{ON} test person {tested.index(name) + 1}"]
        assert f"{int(own.fake.sum())} forged and {int((~own.fake).sum())} real" in card.data
        assert auc(own).value == pytest.approx(card.value, abs=0.02)
