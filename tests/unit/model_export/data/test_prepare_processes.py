"""Processes that die, hang or never start cost one video or say so."""

from __future__ import annotations

import multiprocessing
import os
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from model_export.data import processes
from model_export.data.processes import prepare_all
from model_export.data.worker import CutOptions, Job
from model_export.errors import DataError
from tests.unit.model_export.data import film

OPTIONS = CutOptions(length=5, size=32, sampling="full")


@pytest.fixture
def jobs(tmp_path: Path) -> list[Job]:
    """A video, one that never ends (nobody writes into the pipe), and another video."""
    (tmp_path / "clips").mkdir()
    os.mkfifo(tmp_path / "endless.mp4")
    names = ("first", "last")
    first, last = (film.filmed(tmp_path, name, 10) for name in names)
    return [Job(first), Job(film.video("endless", tmp_path / "endless.mp4")), Job(last)]


def test_a_process_that_dies_costs_its_video_alone(tmp_path: Path, jobs: list[Job]) -> None:
    rows = prepare_all(jobs, OPTIONS, tmp_path, 1)
    assert next(rows).status == "ok"
    (process,) = multiprocessing.active_children()
    # The next video is handed out when its row is asked for.
    threading.Timer(0.3, process.kill).start()
    died, last = next(rows), next(rows)
    assert (died.video.id, died.status, died.clips) == ("endless", "crashed", 0)
    assert died.message == "endless.mp4: the process died on it (SIGKILL)"
    assert (last.video.id, last.status, last.clips) == ("last", "ok", 2)
    rows.close()  # type: ignore[attr-defined]
    assert not multiprocessing.active_children()


def test_a_process_that_hangs_is_stopped(
    tmp_path: Path, jobs: list[Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = prepare_all(jobs[:2], replace(OPTIONS, seconds=5.0), tmp_path, 1)
    assert next(rows).status == "ok"
    monkeypatch.setattr(processes, "_GRACE", -9.5)
    (hung,) = rows
    assert (hung.video.id, hung.status) == ("endless", "too_slow")
    assert 0.5 < hung.seconds < 30
    assert not multiprocessing.active_children()


def test_processes_that_cannot_start_are_no_failure_of_the_videos(
    tmp_path: Path, jobs: list[Job], capfd: pytest.CaptureFixture[str]
) -> None:
    missing = replace(OPTIONS, detector_path=tmp_path / "none.onnx")
    with pytest.raises(DataError, match="could not start"):
        next(prepare_all(jobs, missing, tmp_path, 1))
    assert "none.onnx" in capfd.readouterr().err
