"""Preparation that is killed, runs out of disk, or is repeated."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest

from model_export.data import prepare as prepare_module
from model_export.data import worker
from model_export.data.prepared import PreparedDataset, PreparedVideo, clips_path, read_rows
from model_export.data.video import LabelledVideo
from model_export.data.worker import Job, StorageFailed, VideoCutter
from model_export.errors import DataError
from tests.unit.model_export.data import film
from tests.unit.model_export.data.preparing import (
    OPTIONS,
    in_a_process,
    prepared,
    same_folder,
)


def test_a_killed_run_is_taken_up_and_ends_like_one_in_one_go(
    tmp_path: Path,
    films: Path,
    labelled: list[LabelledVideo],
    in_one_go: Path,
    in_this_process: list[list[str]],
) -> None:
    folder = tmp_path / "out"
    running = in_a_process(films, folder)
    wait_for_rows(folder, 1, running)
    helpers = Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()
    running.send_signal(signal.SIGKILL)
    running.wait()
    wait_until_gone(helpers)
    running.communicate()
    left = PreparedDataset(folder)
    done = {row.video.id for row in left.videos()}
    assert 1 <= len(done) < 5
    for name in done:
        assert len(left.load(name))
    (folder / "clips" / ".e.safetensors.1.part").write_bytes(b"half a fi")
    inodes = {name: clips_path(folder, name).stat().st_ino for name in done}
    prepared(labelled, folder)
    assert in_this_process == [[name for name in "abcde" if name not in done]]
    assert same_folder(folder, in_one_go)
    assert inodes == {name: clips_path(folder, name).stat().st_ino for name in done}


def wait_for_rows(folder: Path, count: int, running: subprocess.Popen[str]) -> None:
    began = time.monotonic()
    while time.monotonic() - began < 60 and running.poll() is None:
        table = folder / "videos.csv"
        if table.exists() and len(read_rows(table)) >= count:
            return
        time.sleep(0.005)
    raise AssertionError(f"nothing was prepared: {running.communicate()[1]}")


def wait_until_gone(processes: list[str]) -> None:
    assert processes
    began = time.monotonic()
    while any(Path("/proc", each).exists() for each in processes):
        assert time.monotonic() - began < 30, "processes outlive the one they work for"
        time.sleep(0.05)


def test_a_full_disk_stops_with_one_sentence_and_can_be_repeated(
    tmp_path: Path,
    films: Path,
    labelled: list[LabelledVideo],
    in_one_go: Path,
    in_this_process: list[list[str]],
) -> None:
    """The limit on a file's size, since a disk that is full takes more than a test to make: the
    long video's clips take 123 KB."""
    folder = tmp_path / "out"
    running = in_a_process(films, folder, most_bytes=100_000)
    said = running.communicate()[1].splitlines()
    assert running.returncode == 1
    assert said[-1].startswith(f"Error: {folder} cannot be written: ")
    assert "File too large" in said[-1]
    assert said[-1].endswith(
        "The videos prepared so far (1) are kept: make room and repeat the command to go on"
    )
    assert [row.video.id for row in PreparedDataset(folder).videos()] == ["a"]
    assert sorted(path.name for path in (folder / "clips").iterdir()) == ["a.safetensors"]
    prepared(labelled, folder)
    assert same_folder(folder, in_one_go)


def test_no_space_for_clips_or_rows_is_said(
    tmp_path: Path, labelled: list[LabelledVideo], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(worker, "write_clips", full)
    with pytest.raises(StorageFailed, match="No space left on device"):
        VideoCutter(OPTIONS, tmp_path).prepare(Job(labelled[0]))

    done = iter([
        PreparedVideo(labelled[0], "ok", "", 2, 10, 0.1),
        PreparedVideo(labelled[1], "no_face", "b.mp4: no face", 0, 60, 0.1),
    ])  # fmt: skip
    monkeypatch.setattr(prepare_module, "prepare_all", lambda jobs, *rest: [next(done)])
    prepared(labelled[:1], tmp_path / "out")
    monkeypatch.setattr(prepare_module, "write_rows", full)
    with pytest.raises(DataError, match=r"No space left on device.*so far \(1\) are kept"):
        prepared(labelled[:2], tmp_path / "out")
    assert [row.video.id for row in read_rows(tmp_path / "out" / "videos.csv")] == ["a"]


def test_only_what_failed_or_changed_is_done_again(
    tmp_path: Path, labelled: list[LabelledVideo], in_this_process: list[list[str]]
) -> None:
    late = film.video("late", tmp_path / "late.mp4")
    a, c, e = (labelled[place] for place in (0, 2, 4))
    folder = tmp_path / "out"
    prepared([a, c, e, late], folder)
    film.filmed(tmp_path, "late", 10)
    clips_path(folder, "c").unlink()
    corrected = replace(a, part="test")
    moved = replace(e, location=labelled[3].location)
    rows = prepared([corrected, c, moved, late], folder)
    assert in_this_process[1] == ["c", "e", "late"]
    assert [(row.video, row.status, row.clips) for row in rows] == [
        (corrected, "ok", 2), (c, "ok", 2), (moved, "ok", 3), (late, "ok", 2)
    ]  # fmt: skip
    prepared([late], folder)
    assert in_this_process[2] == []
    film.filmed(tmp_path, "late", 20)
    (again,) = prepared([late], folder)
    assert in_this_process[3] == ["late"]
    assert (again.clips, again.sha256 != rows[3].sha256) == (4, True)
    assert sorted(row.video.id for row in PreparedDataset(folder).rows) == ["a", "c", "e", "late"]
