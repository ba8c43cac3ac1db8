"""Opening what is evaluated, and telling what it was trained on."""

from __future__ import annotations

from pathlib import Path

import pytest

from model_export.data.prepared import PreparedDataset
from model_export.errors import EvaluationError, TrainingError
from model_export.evaluation.scores import score_run, score_videos
from model_export.evaluation.subject import Lineage, lineage, open_subject
from model_export.training.checkpoint import load_run
from service.classifier.contract import OperatingPoint
from tests.onnx_models import CONTRACT, brightness_model
from tests.unit.model_export.evaluation.made import grey, prepared, write_run


@pytest.fixture
def dataset(tmp_path: Path) -> PreparedDataset:
    return prepared(tmp_path / "data", [("f", "anna", "DF", "test", grey(2, 140))])


def test_a_run_is_scored_with_its_own_settings(dataset: PreparedDataset, tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", dataset, ["DF", "FS"], seed=3)
    subject = open_subject(folder, dataset, "cpu")
    assert (subject.name, subject.architecture, subject.seed) == ("small clrnet", "clrnet", 3)
    assert subject.lineage == Lineage(("DF", "FS"))
    assert subject.point is None
    model, config = load_run(folder)
    expected = score_run(model, config.model.scaling, dataset, "test").score
    assert score_videos(subject.scorer, dataset, "test").score.tolist() == expected.tolist()


def test_what_a_run_started_from_counts(dataset: PreparedDataset, tmp_path: Path) -> None:
    frames = write_run(tmp_path / "frames", dataset, ["FS"])
    clips = write_run(tmp_path / "clips", dataset, ["FS"], start=frames)
    first = write_run(tmp_path / "first", dataset, ["FS", "DF"], start=clips)
    second = write_run(tmp_path / "second", dataset, ["FS", "DF", "NT"], start=first)
    assert lineage(clips) == Lineage(("FS",))
    assert lineage(first) == Lineage(("FS",), ("DF",))
    assert lineage(second) == Lineage(("FS",), ("DF", "NT"))
    assert str(lineage(second)) == "transfer FS->DF+NT"
    merged = write_run(tmp_path / "merged", dataset, ["NT", "DF"])
    assert str(lineage(merged)) == "merge DF+NT"
    assert lineage(frames).strategy == "single"


def test_an_exported_model(dataset: PreparedDataset, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(brightness_model())
    subject = open_subject(path, dataset)
    assert (subject.name, subject.seed, subject.lineage) == ("brightness", None, None)
    assert subject.point == CONTRACT.operating_point
    assert open_subject(path, dataset, trained_on=["DF"]).lineage == Lineage(("DF",))
    contract = CONTRACT.model_copy(update={"operating_point": OperatingPoint()})
    path.write_bytes(brightness_model(contract))
    assert open_subject(path, dataset).point is None


def test_what_does_not_fit_is_refused(dataset: PreparedDataset, tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", dataset)
    other = prepared(tmp_path / "other", [("f", "a", "DF", "test", grey(1, 1, size=64))], size=64)
    with pytest.raises(EvaluationError, match=r"takes faces of 32x32 pixels.* holds 64x64"):
        open_subject(folder, other)
    (tmp_path / "text").write_text("no model")
    with pytest.raises(EvaluationError, match="is no run's folder, and the model file 'text'"):
        open_subject(tmp_path / "text", dataset)
    (folder / "weights.safetensors").unlink()
    with pytest.raises(TrainingError, match="no weights yet"):
        open_subject(folder, dataset)
    with pytest.raises(TrainingError, match="not the folder of a run"):
        open_subject(dataset.folder, dataset)
