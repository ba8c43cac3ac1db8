"""What ``data check`` finds out, prints and ends with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from model_export.data.check import check
from model_export.data.command_check import check as command
from model_export.data.readers import ReaderOptions, read
from model_export.data.reading import Reading
from model_export.data.video import LabelledVideo
from model_export.errors import DataError
from tests.unit.model_export.data.trees import faceforensics, official_splits, touch, video

PAIRS = {"train": [("001", "002")], "val": [("003", "004")], "test": [("005", "006")]}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    path = faceforensics(tmp_path / "ff", [pair for pairs in PAIRS.values() for pair in pairs])
    official_splits(path / "splits", PAIRS)
    return path


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.setenv("COLUMNS", "160")
    return CliRunner()


@pytest.fixture
def app() -> typer.Typer:
    app = typer.Typer()
    app.command()(command)
    return app


def test_parts_and_methods_are_counted_and_weighed(tree: Path) -> None:
    files = tree / "manipulated_sequences/Deepfakes/c23/videos"
    (files / "001_002.mp4").write_bytes(bytes(3_000_000))
    (files / "002_001.mp4").write_bytes(bytes(1_000_000))
    report = check(read(tree, ReaderOptions()))
    assert [(row.part, row.method, row.videos, row.people) for row in report.rows] == [
        (part, method, 2, 2)
        for part in ("train", "validation", "test")
        for method in ("real", "DF")
    ]
    assert report.rows[1].gigabytes == pytest.approx(0.004)
    assert (report.proof.people, report.proof.sources) == (6, 6)
    assert report.errors == []
    assert "train: 2 real and 2 fake videos." in report.notes
    assert any(note.startswith("10 files are empty: ") for note in report.notes)


def test_a_link_that_leads_nowhere_is_missing(tree: Path) -> None:
    link = tree / "manipulated_sequences/Deepfakes/c23/videos/001_002.mp4"
    link.unlink()
    link.symlink_to(tree / "elsewhere.mp4")
    report = check(read(tree, ReaderOptions()))
    assert f"1 files are missing or cannot be read: {link}." in report.notes


def test_a_shared_person_is_an_error_here_too() -> None:
    shared = [video("a", "train", people="x"), video("b", "test", people="x")]
    with pytest.raises(DataError, match="share the person x"):
        check(_somewhere(shared))


@pytest.mark.parametrize(
    ("missing", "error"),
    [
        ("trainreal", "there is no real video in the part train"),
        ("validationfake", "there is no fake video in the part validation"),
        ("testfake", None),
    ],
)
def test_a_class_that_is_missing_is_an_error_where_training_needs_it(
    missing: str, error: str | None
) -> None:
    videos = [
        video(f"{part}{label}", part, label=label, people={part})
        for part in ("train", "validation", "test")
        for label in ("real", "fake")
    ]
    report = check(_somewhere([each for each in videos if each.id != missing]))
    assert report.errors == ([error] if error else [])
    assert (error is None) == any("one class" in note for note in report.notes)


def test_test_videos_alone_are_no_error_and_none_at_all_are() -> None:
    report = check(_somewhere([video("a", "test"), video("b", "test")]))
    assert report.errors == []
    assert any("nothing is there to train on" in note for note in report.notes)
    assert check(_somewhere([])).errors == ["there is no video"]


def test_everything_is_printed(tree: Path, runner: CliRunner, app: typer.Typer) -> None:
    fakes = tree / "manipulated_sequences/Deepfakes/c23/videos"
    (fakes / "003_004.mp4").unlink()
    touch(fakes, ["001_006.mp4", "[red]007.mp4"])
    result = runner.invoke(app, [str(tree)])
    assert result.exit_code == 0, result.output
    for word in (
        "validation",
        "manipulated_sequences/Deepfakes/c23/videos",
        "003_004.mp4",
        "its people are in train and test",
        "001_006.mp4",
        "[red]007.mp4",
        "No person and no source is in two parts: 6 people and 6 sources were compared.",
        "Not there: FaceSwap",
    ):
        assert word in result.output


def test_what_cannot_be_trained_on_ends_with_status_1(
    tmp_path: Path, runner: CliRunner, app: typer.Typer
) -> None:
    touch(tmp_path / "fake", [f"{number}.mp4" for number in range(9)])
    result = runner.invoke(app, [str(tmp_path)])
    assert result.exit_code == 1
    assert "Nothing can be trained on this: there is no real video in the part train." in (
        result.output
    )


def test_a_refusal_is_one_line_and_status_1(
    tree: Path, runner: CliRunner, app: typer.Typer
) -> None:
    touch(tree / "manipulated_sequences/Deepfakes/c23/videos", ["001_006.mp4"])
    result = runner.invoke(app, [str(tree), "--overlap", "refuse"])
    assert result.exit_code == 1
    assert result.output.count("\n") == 1
    assert "001_006.mp4 (train)" in result.output


def test_options_reach_the_reader(tree: Path, runner: CliRunner, app: typer.Typer) -> None:
    wanted = ["--layout", "faceforensics", "--split", "papers", "--method", "DF"]
    result = runner.invoke(app, [str(tree), *wanted])
    assert result.exit_code == 1  # nobody of these six validates
    assert "there is no real video in the part validation" in result.output
    assert "1,000" in result.output
    assert runner.invoke(app, [str(tree), "--split", "half"]).exit_code == 2


def _somewhere(videos: list[LabelledVideo]) -> Reading:
    """A reading of videos at addresses, so that no file is weighed."""
    return Reading("manifest", [replace(each, location=f"https://v/{each.id}") for each in videos])
