"""The command line as a person runs it: in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from service.report import Report
from tests import media
from tests.onnx_models import brightness_model


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "service", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "brightness.onnx"
    path.write_bytes(brightness_model())
    return path


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("videos") / "group.mp4"
    path.write_bytes(media.group_video(30))
    return path


def test_json_is_the_report_and_nothing_else(model: Path, video: Path) -> None:
    done = run("score", video, "--model", model, "--json")
    assert done.returncode == 0, done.stderr
    report = Report.model_validate(json.loads(done.stdout))
    assert len(report.faces) == 6
    assert report.model.name == "brightness"


def test_without_json_a_person_gets_a_table(model: Path, video: Path) -> None:
    done = run("score", video, "--model", model)
    assert done.returncode == 0, done.stderr
    assert "Verdict: fake" in done.stdout
    assert "6 faces" in done.stdout


@pytest.mark.parametrize(
    ("content", "arguments", "code"),
    [
        (b"words", [], "undecodable"),
        (media.audio_only(), [], "no_video"),
        (media.numbered_video(10), ["--sampling", "some"], "malformed_request"),
    ],
)
def test_errors_have_a_code_and_a_status(
    content: bytes, arguments: list[str], code: str, model: Path, tmp_path: Path
) -> None:
    file = tmp_path / "input"
    file.write_bytes(content)
    done = run("score", file, "--model", model, *arguments)
    assert done.returncode == 1
    assert done.stdout == ""
    assert code in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_model_is_named(video: Path) -> None:
    done = run("score", video, "--model", "nowhere.onnx")
    assert done.returncode == 1
    assert "nowhere.onnx" in done.stderr


def test_fetching_a_detector_tells_the_licence_before_anything_else(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "service", "fetch-detector", "buffalo_sc", "--to", tmp_path],
        input="n\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "non-commercial" in done.stderr
    assert not any(tmp_path.iterdir())


def test_a_bad_setting_is_one_sentence_that_names_it(
    video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEEPFAKE_LIMITS__BYTES", "0")
    done = run("score", video)
    assert done.returncode == 2
    assert "DEEPFAKE_LIMITS__BYTES" in done.stderr
    assert "Traceback" not in done.stderr
