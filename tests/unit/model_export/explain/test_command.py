"""``explain`` from the command line: a PNG, or one line that says what is wrong."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest
from typer.testing import CliRunner

from model_export.data.prepared import PreparedDataset
from model_export.evaluation.score_file import save_scores
from model_export.explain import model as models
from model_export.explain import picture
from model_export.explain.command import explain_app
from model_export.explain.model import OpenModel
from model_export.explain.picture import CAPTION, GAP, HEADER
from service.measures.table import ScoreTable

from .conftest import LENGTH, PREPARATION, SIZE, network, opened

CELL = 2 * SIZE + GAP
"""Frames of 48 pixels are shown at twice their size."""


@pytest.fixture
def run(dataset: PreparedDataset, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    monkeypatch.setattr(models, "open_model", lambda path: opened(network()))
    return Run(dataset.folder, tmp_path)


class Run:
    """The command on the prepared dataset; the model is always the small network."""

    def __init__(self, folder: Path, scratch: Path) -> None:
        self.folder, self.scratch = folder, scratch

    def rows(self, command: str, *arguments: str) -> int:
        """How many rows of five frames the picture has."""
        path = self.scratch / "picture.png"
        path.unlink(missing_ok=True)
        code, text = self.text(command, *arguments, "-o", str(path))
        assert code == 0, text
        found = cv2.imread(str(path))
        assert found is not None
        rows, left = divmod(found.shape[0] - HEADER, CELL)
        assert (left, found.shape[1]) == (0, CAPTION + LENGTH * CELL)
        return rows

    def text(self, command: str, *arguments: str) -> tuple[int, str]:
        """Exit status and everything that was said."""
        result = CliRunner().invoke(explain_app, [command, str(self.folder), *arguments])
        return result.exit_code, " ".join(result.output.split())


def test_cams(run: Run) -> None:
    assert run.rows("cams", "-m", "any", "--count", "1") == 2 * 3
    assert run.rows("cams", "-m", "any", "--methods", "DF,real", "--count", "3") == 2 * 6
    assert run.rows("cams", "-m", "any", "--mean", "--count", "5") == 3
    assert run.rows("cams", "-m", "any", "--mean", "--part", "train") == 2


def test_differences(run: Run) -> None:
    assert run.rows("differences", "--videos", "d2") == 4
    assert run.rows("differences", "--methods", "NT", "--methods", "real", "--factor", "3") == 4


def test_clips(run: Run) -> None:
    assert run.rows("clips", "--count", "2") == 6
    assert run.rows("clips", "--count", "1", "-m", "any") == 3


def test_clips_by_a_table(run: Run) -> None:
    scores = run.scratch / "scores.csv"
    row = ("d2", "somebody", "DF", "fake", "test", 1, 10, 14, 0.4, 0.6, 0.01)
    save_scores(ScoreTable.of([row]), scores)
    assert run.rows("clips", "--scores", str(scores)) == 1
    code, text = run.text("clips", "--scores", "absent.csv", "-o", "p.png")
    assert (code, text) == (1, "Error: absent.csv cannot be read: No such file or directory")


def test_every_picture_is_of_the_origin_of_its_clips(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(picture, "save", lambda picture, path, origin: told.append(origin))
    for command in (["cams", "-m", "any"], ["cams", "-m", "any", "--mean"], ["differences"]):
        assert run.text(*command, "-o", "p.png")[0] == 0
    assert run.text("clips", "-o", "p.png")[0] == 0
    assert told == [PREPARATION.origin] * 4


def test_the_same_command_gives_the_same_picture(run: Run) -> None:
    path = run.scratch / "picture.png"
    run.rows("cams", "-m", "any", "--seed", "5")
    first = path.read_bytes()
    run.rows("cams", "-m", "any", "--seed", "5")
    assert path.read_bytes() == first
    run.rows("cams", "-m", "any", "--seed", "6")
    assert path.read_bytes() != first


def test_refusals_take_one_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    code, text = run.text("cams", "-m", "any", "--methods", "FS", "-o", "p.png")
    assert code == 1
    assert text.endswith("has no clips of FS")
    assert text.startswith("Error: ")

    def other(path: Path) -> OpenModel:
        return opened(network(), size=64)

    monkeypatch.setattr(models, "open_model", other)
    for command in ("cams", "clips"):
        code, text = run.text(command, "-m", "any", "-o", "p.png")
        assert code == 1
        assert text.startswith("Error: small takes clips of 5 frames of 64x64 (margin 1.3")
        assert "but the dataset has 5 frames of 48x48" in text


def test_wrong_usage(run: Run) -> None:
    code, text = run.text("clips", "-o", "picture.jpg")
    assert code == 2
    assert "written as .png" in text
    code, text = run.text("clips", "-m", "any", "--scores", "s.csv", "-o", "p.png")
    assert code == 2
    assert "not from both" in text
