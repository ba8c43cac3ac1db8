"""Opening what is evaluated, and telling what it was trained on."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from model_export.data.prepared import PreparedDataset
from model_export.errors import EvaluationError, TrainingError
from model_export.evaluation.scores import score_run, score_videos
from model_export.evaluation.subject import Lineage, lineage, open_subject
from model_export.training.ancestry import ancestry
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
    known = {path: lineage(ancestry(path)) for path in (frames, clips, first, second)}
    assert known[frames] == known[clips] == Lineage(("FS",))
    assert known[first] == Lineage(("FS",), ("DF",))
    assert known[second] == Lineage(("FS",), ("DF", "NT"))
    assert str(known[second]) == "transfer FS->DF+NT"
    merged = write_run(tmp_path / "merged", dataset, ["NT", "DF"])
    assert str(lineage(ancestry(merged))) == "merge DF+NT"
    assert Lineage(("FS",)).strategy == "single"


def test_seeds_are_of_one_kind_and_what_is_not_known_is_of_its_own(
    dataset: PreparedDataset, tmp_path: Path
) -> None:
    def kind(name: str, methods: list[str], start: Path | None = None) -> str:
        seed = 1 if name == "other" else 0
        folder = write_run(tmp_path / name, dataset, methods, seed=seed, start=start)
        return open_subject(folder, dataset, "cpu").kind

    assert kind("one", ["FS"]) == kind("other", ["FS"]) == "clrnet, single FS"
    assert kind("moved", ["FS", "DF"], tmp_path / "one") == "clrnet, transfer FS->DF"
    gone = tmp_path / "gone"
    assert kind("lost", ["FS"], gone) != kind("lost-too", ["FS"], gone)


def test_what_cannot_be_found_is_unknown_and_not_guessed(
    dataset: PreparedDataset, tmp_path: Path
) -> None:
    source = write_run(tmp_path / "source", dataset, ["FS"])
    moved = write_run(tmp_path / "moved", dataset, ["FS", "DF"], start=source)
    assert lineage(ancestry(moved)) == Lineage(("FS",), ("DF",))
    from_file = write_run(tmp_path / "file", dataset, ["DF"], start=source / "weights.safetensors")
    assert lineage(ancestry(from_file)) is None
    assert open_subject(from_file, dataset, "cpu").lineage is None
    assert open_subject(from_file, dataset, "cpu", ["DF"]).lineage == Lineage(("DF",))

    source.rename(tmp_path / "elsewhere")
    assert lineage(ancestry(moved)) is None
    source.mkdir()  # Something that is no run.
    assert lineage(ancestry(moved)) is None
    source.rmdir()
    write_run(source, dataset, ["NT"], architecture="meso4")
    assert lineage(ancestry(moved)) is None
    shutil.rmtree(source)
    moved.rename(source)  # It now seems to have started from itself.
    assert lineage(ancestry(source)) is None


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
