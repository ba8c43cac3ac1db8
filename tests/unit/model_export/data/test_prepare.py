"""A folder of clips that loses nothing: failures, interruptions, full disks, second runs."""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import sys
import time
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from model_export.cli import app
from model_export.data import prepare as prepare_module
from model_export.data import worker
from model_export.data.prepare import prepare
from model_export.data.prepared import PreparedDataset, PreparedVideo, clips_path, read_rows
from model_export.data.report import closing_table
from model_export.data.video import LabelledVideo
from model_export.data.worker import CutOptions, Job, StorageFailed, VideoCutter
from model_export.errors import DataError
from tests import media
from tests.unit.model_export.data import film

OPTIONS = CutOptions(length=5, size=32, sampling="full")

SCRIPT = """
import sys
from pathlib import Path
from model_export.data.prepare import prepare
from model_export.data.worker import CutOptions
from model_export.errors import DataError
from tests.unit.model_export.data import film
videos = [film.video(path.stem, path) for path in sorted(Path(sys.argv[1]).glob("*.mp4"))]
options = CutOptions(length=5, size=32, sampling="full")
try:
    prepare(videos, Path(sys.argv[2]), options, origin="film")
except DataError as error:
    sys.exit(f"Error: {error}")
"""


def silent() -> Console:
    return Console(file=StringIO())


def prepared(
    videos: list[LabelledVideo], folder: Path, options: CutOptions = OPTIONS, **more: bool
) -> list[PreparedVideo]:
    return prepare(videos, folder, options, origin="film", console=silent(), **more)


def in_a_process(
    films: Path, folder: Path, *, most_bytes: int | None = None
) -> subprocess.Popen[str]:
    """``SCRIPT`` in a process of its own that can write files of so many bytes."""

    def limit() -> None:
        if most_bytes is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))

    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(films), str(folder)],
        cwd=Path(__file__).parents[4],
        preexec_fn=limit,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Prepare without other processes; gives the ids of the videos of each run."""
    asked: list[list[str]] = []

    def serial(jobs: list[Job], options: CutOptions, folder: Path, processes: int) -> object:
        asked.append([job.video.id for job in jobs])
        cutter = VideoCutter(options, folder)
        for job in jobs:
            yield cutter.prepare(job)

    monkeypatch.setattr(prepare_module, "prepare_all", serial)
    return asked


def told(rows: list[PreparedVideo]) -> list[PreparedVideo]:
    """Rows without how long they took."""
    return [replace(row, seconds=0.0) for row in rows]


def same_folder(one: Path, other: Path) -> bool:
    """Whether two prepared folders hold the same rows and the same files, byte for byte."""
    names = [sorted(path.name for path in (folder / "clips").iterdir()) for folder in (one, other)]
    rows = [told(read_rows(folder / "videos.csv")) for folder in (one, other)]
    return (
        names[0] == names[1]
        and rows[0] == rows[1]
        and (one / "dataset.json").read_text() == (other / "dataset.json").read_text()
        and all(
            (one / "clips" / name).read_bytes() == (other / "clips" / name).read_bytes()
            for name in names[0]
        )
    )


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of five videos, the second one long."""
    folder = tmp_path_factory.mktemp("films")
    for name, count in (("a", 10), ("b", 40), ("c", 12), ("d", 15), ("e", 10)):
        film.filmed(folder, name, count)
    return folder


@pytest.fixture(scope="module")
def labelled(films: Path) -> list[LabelledVideo]:
    return [film.video(path.stem, path) for path in sorted(films.glob("*.mp4"))]


@pytest.fixture(scope="module")
def in_one_go(labelled: list[LabelledVideo], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "prepared"
    prepared(labelled, folder)
    return folder


def test_what_is_prepared_is_read_back(in_one_go: Path) -> None:
    dataset = PreparedDataset(in_one_go)
    assert [(row.video.id, row.clips) for row in dataset.videos("train")] == [
        ("a", 2), ("b", 8), ("c", 2), ("d", 3), ("e", 2)
    ]  # fmt: skip
    assert dataset.preparation.detector == "mtcnn"
    assert dataset.preparation.origin == "film"
    assert dataset.load("b").pixels.shape == (8, 5, 32, 32, 3)
    assert [row.frames_decoded for row in dataset.rows] == [10, 40, 10, 15, 10]


def test_every_failure_is_a_row_with_its_code_and_the_files_name(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("this is no video")
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "sound.mp4").write_bytes(media.audio_only())
    (tmp_path / "nobody.mp4").write_bytes(media.numbered_video(20))
    flicker = film.one_face(20)
    for number in range(2, 20, 5):
        flicker[number][:] = 128
    (tmp_path / "flicker.mp4").write_bytes(media.encode_video(flicker))
    film.filmed(tmp_path, "short", 4)
    film.filmed(tmp_path, "large", 10)
    film.filmed(tmp_path, "good", 10)
    names = ["text", "empty", "sound", "nobody", "flicker", "short", "large", "gone", "good"]
    videos = [film.video(name, tmp_path / f"{name}.mp4") for name in names]
    videos.append(film.video("remote", "https://example.org/remote.mp4"))
    os.truncate(tmp_path / "large.mp4", 2**20)
    rows = prepared(videos, tmp_path / "out", replace(OPTIONS, bytes=2**20 - 1))
    assert [(row.video.id, row.status) for row in rows] == [
        ("text", "undecodable"),
        ("empty", "undecodable"),
        ("sound", "no_video"),
        ("nobody", "no_face"),
        ("flicker", "no_whole_clip"),
        ("short", "too_short"),
        ("large", "over_limits"),
        ("gone", "missing_file"),
        ("good", "ok"),
        ("remote", "url_not_supported"),
    ]
    for row in rows:
        assert (f"{row.video.id}.mp4" in row.message) == (row.status != "ok")
        assert bool(row.clips) == (row.status == "ok")
    assert told(read_rows(tmp_path / "out" / "videos.csv")) == told(rows)
    assert [row.video.id for row in PreparedDataset(tmp_path / "out").videos()] == ["good"]
    console = Console(file=StringIO(), width=200)
    console.print(closing_table(rows))
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert any("undecodable" in line and " 2 " in line and "text.mp4" in line for line in lines)
    assert lines.index(next(line for line in lines if " ok " in line)) == 3


def test_a_bug_on_one_video_is_a_row_too(
    tmp_path: Path, labelled: list[LabelledVideo], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object, **options: object) -> None:
        raise IndexError("out of range")

    monkeypatch.setattr(worker, "extract", broken)
    row = VideoCutter(OPTIONS, tmp_path).prepare(Job(labelled[0]))
    assert (row.status, row.message) == ("failed", "a.mp4: IndexError: out of range")


def test_stopping_at_the_first_failure_keeps_what_is_done(
    tmp_path: Path, labelled: list[LabelledVideo], in_this_process: list[list[str]]
) -> None:
    gone = film.video("gone", tmp_path / "gone.mp4")
    with pytest.raises(DataError, match=r"gone\.mp4: the file is not there \(missing_file\)"):
        prepared([labelled[0], gone, labelled[2]], tmp_path / "out", stop_on_failure=True)
    assert len(in_this_process) == 1
    rows = read_rows(tmp_path / "out" / "videos.csv")
    assert [(row.video.id, row.status) for row in rows] == [("a", "ok"), ("gone", "missing_file")]


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
    running.communicate()
    wait_until_gone(helpers)
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
    assert sorted(row.video.id for row in PreparedDataset(folder).rows) == ["a", "c", "e", "late"]


def test_a_folder_prepared_otherwise_is_refused_and_left_alone(
    tmp_path: Path, labelled: list[LabelledVideo], in_one_go: Path
) -> None:
    before = {path: path.stat().st_mtime_ns for path in in_one_go.rglob("*")}
    for options, origin, word in (
        (replace(OPTIONS, margin=1.12), "film", "margin 1.3, not 1.12"),
        (replace(OPTIONS, length=1), "film", "length 5, not 1"),
        (replace(OPTIONS, sampling="paper"), "film", "sampling full, not paper"),
        (replace(OPTIONS, alignment="clip"), "film", "alignment per_frame, not clip"),
        (OPTIONS, "elsewhere", "origin film, not elsewhere"),
    ):
        with pytest.raises(DataError, match=word):
            prepare(labelled, in_one_go, options, origin=origin, console=silent())
    assert before == {path: path.stat().st_mtime_ns for path in in_one_go.rglob("*")}


def test_a_folder_with_other_things_in_it_is_refused(
    tmp_path: Path, labelled: list[LabelledVideo]
) -> None:
    (tmp_path / "holiday.jpg").write_bytes(media.jpeg())
    with pytest.raises(DataError, match=r"holds holiday\.jpg and is no prepared dataset"):
        prepared(labelled, tmp_path)


def test_two_runs_do_not_share_a_folder(
    tmp_path: Path, labelled: list[LabelledVideo], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "out"

    def again(*args: object) -> object:
        with pytest.raises(DataError, match="is being prepared by another process"):
            prepared(labelled, folder)
        return iter([PreparedVideo(labelled[0], "no_face", "a.mp4", 0, 0, 0.1)])

    monkeypatch.setattr(prepare_module, "prepare_all", again)
    prepared(labelled[:1], folder)


def test_the_command_prepares_a_dataset_and_says_what_became_of_it(
    tmp_path: Path, films: Path, in_this_process: list[list[str]]
) -> None:
    for kind, name in (("real", "a"), ("fake", "c")):
        (tmp_path / "set" / kind).mkdir(parents=True)
        (tmp_path / "set" / kind / f"{name}.mp4").write_bytes((films / f"{name}.mp4").read_bytes())
    (tmp_path / "set/fake/broken[red].mp4").write_text("no video")
    out = tmp_path / "out"
    call = ["data", "prepare", f"{tmp_path}/set", str(out), "--size", "32", "--sampling", "full"]
    ended = CliRunner().invoke(app, call)
    assert ended.exit_code == 0, ended.output
    assert any(
        "ok" in line and " 2 " in line and " 4 " in line for line in ended.output.split("\n")
    )
    assert "undecodable" in ended.output
    assert "broken[red].mp4" in "".join(ended.output.split())
    assert str(out / "videos.csv") in ended.output
    dataset = PreparedDataset(out)
    assert {row.video.label: row.clips for row in dataset.videos()} == {"real": 2, "fake": 2}
    assert (dataset.preparation.origin, dataset.preparation.size) == ("set", 32)
    refused = CliRunner().invoke(app, [*call, "--margin", "1.5"])
    assert refused.exit_code == 1
    assert "was prepared with margin 1.3, not 1.5" in " ".join(refused.output.split())


@pytest.mark.parametrize(
    ("videos", "options", "word"),
    [
        ([], OPTIONS, "no video"),
        (["a", "b", "a"], OPTIONS, "2 videos are called a"),
        (["../a"], OPTIONS, r"'\.\./a' cannot be a video's id"),
        (["a"], replace(OPTIONS, sampling="every"), "sampling 'every'"),
        (["a"], replace(OPTIONS, detector="insightface"), "needs the path of a model"),
        (["a"], replace(OPTIONS, detector_path=Path("none.onnx")), "none.onnx does not exist"),
    ],
)
def test_what_cannot_begin_is_refused_before_anything_is_made(
    videos: list[str], options: CutOptions, word: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=word):
        prepared([film.video(name, "v.mp4") for name in videos], tmp_path / "out", options)
    assert not (tmp_path / "out").exists()
