"""What is prepared, what is said of what cannot be, and what is refused."""

from __future__ import annotations

import os
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
from model_export.data.prepared import PreparedDataset, PreparedVideo, read_rows
from model_export.data.report import closing_table
from model_export.data.video import LabelledVideo
from model_export.data.worker import CutOptions, Job, VideoCutter
from model_export.errors import DataError
from tests import media
from tests.unit.model_export.data import film
from tests.unit.model_export.data.preparing import (
    OPTIONS,
    prepared,
    silent,
    told,
)


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


def test_a_folder_prepared_otherwise_is_refused_and_left_alone(
    tmp_path: Path, labelled: list[LabelledVideo], in_one_go: Path
) -> None:
    before = {path: path.stat().st_mtime_ns for path in in_one_go.rglob("*")}
    for options, origin, word in (
        (replace(OPTIONS, margin=1.12), "film", "margin 1.3, not 1.12"),
        (replace(OPTIONS, length=1), "film", "length 5, not 1"),
        (replace(OPTIONS, sampling="paper"), "film", "sampling full, not paper"),
        (replace(OPTIONS, alignment="clip"), "film", "alignment per_frame, not clip"),
        (replace(OPTIONS, faces="track"), "film", "faces main, not track"),
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
    Path(os.fsdecode(os.fsencode(tmp_path / "set/fake") + b"/\xff.mp4")).write_bytes(b"")
    checked = CliRunner().invoke(app, ["data", "check", f"{tmp_path}/set"])
    assert "1 files are empty: " in checked.output
    assert r"\udcff.mp4" in checked.output
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
    (tmp_path / "set" / "benchmark.json").write_text('{"origin": "a synthetic benchmark"}')
    again = CliRunner().invoke(app, [*call[:3], str(tmp_path / "again"), *call[4:]])
    assert again.exit_code == 0, again.output
    assert PreparedDataset(tmp_path / "again").preparation.origin == "a synthetic benchmark"
    refused = CliRunner().invoke(app, [*call, "--margin", "1.5", "--origin", "set"])
    assert refused.exit_code == 1
    assert "was prepared with margin 1.3, not 1.5" in " ".join(refused.output.split())


@pytest.mark.parametrize(
    ("fakes", "warning"),
    [
        ((), "there is no fake video in the part train."),
        (("broken", "broken"), "there is no fake video in the part train that gave clips."),
        (("good", "good"), None),
    ],
)
def test_a_class_that_is_missing_is_said_at_once(
    fakes: tuple[str, ...],
    warning: str | None,
    tmp_path: Path,
    films: Path,
    in_this_process: list[list[str]],
) -> None:
    lines = ["path,label,split"]
    for part, film_of_it in (("train", "a"), ("validation", "c")):
        lines.append(f"{films}/{film_of_it}.mp4,real,{part}")
    for part, name, kind in zip(("train", "validation"), ("d", "e"), fakes, strict=False):
        path = films / f"{name}.mp4"
        if kind == "broken":
            path = tmp_path / f"{name}.mp4"
            path.write_text("no video")
        lines.append(f"{path},fake,{part}")
    (tmp_path / "list.csv").write_text("\n".join(lines))
    call = ["data", "prepare", str(tmp_path / "list.csv"), str(tmp_path / "out"), "--size", "32"]
    ended = CliRunner().invoke(app, [*call, "--sampling", "full"])
    assert ended.exit_code == 0, ended.output
    said = [line for line in ended.output.splitlines() if "Nothing can be trained" in line]
    assert said == ([f"Nothing can be trained on this: {warning}"] if warning else [])
    assert len(in_this_process) == 1
    if not fakes:
        elsewhere = [*call[:3], str(tmp_path / "elsewhere"), "--on-error", "stop"]
        refused = CliRunner().invoke(app, elsewhere)
        assert refused.exit_code == 1
        assert "Error: nothing can be trained on this: there is no fake" in refused.output
        assert not (tmp_path / "elsewhere").exists()


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
