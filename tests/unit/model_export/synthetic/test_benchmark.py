"""A benchmark made from a folder: disjoint people, the same bytes again, nothing made twice."""

from __future__ import annotations

import csv
import hashlib
import json
import math
import os
import signal
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from shutil import copytree

import numpy as np
import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from model_export.errors import DataError
from model_export.synthetic import benchmark as module
from model_export.synthetic.benchmark import Made, Options, synthesise
from model_export.synthetic.command import synthesise as command
from model_export.synthetic.jobs import Job
from model_export.synthetic.people import Person
from model_export.synthetic.production import Row, Workshop, produce
from model_export.synthetic.segments import Sighting, look
from service.video.deadline import Deadline
from service.video.video import Video, VideoLimits
from tests.media import numbered_video
from tests.unit.model_export.synthetic.people import photograph_people

OPTIONS = Options(frames=3, segments=1, methods=("DF", "FS", "DFW"), ratios=(1, 1, 1))


def _make(
    faces: Path,
    output: Path,
    options: Options = OPTIONS,
    *,
    stills: Path | None = None,
    processes: int = 1,
    strict: bool = False,
) -> Made:
    return synthesise(
        faces,
        stills,
        output,
        options,
        processes=processes,
        console=Console(quiet=True),
        strict=strict,
    )


def _rows(output: Path, name: str = "manifest.csv") -> list[dict[str, str]]:
    with (output / name).open(newline="") as file:
        return list(csv.DictReader(file))


def _bytes(output: Path) -> dict[str, str]:
    return {
        str(path.relative_to(output)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted((output / "videos").rglob("*.mp4"))
    }


@pytest.fixture(scope="module")
def benchmark(photographs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("benchmark") / "out"
    _make(photographs, output)
    return output


def test_the_manifest_lists_what_is_there(benchmark: Path) -> None:
    rows = _rows(benchmark)
    columns = "id path label method split group people sources twin"
    assert list(rows[0]) == columns.split()
    assert {row["path"] for row in rows} == set(_bytes(benchmark))
    assert len({row["id"] for row in rows}) == len(rows)
    counts = defaultdict(int)
    for row in rows:
        counts[row["split"], row["method"]] += 1
        assert row["label"] == ("real" if row["method"] == "real" else "fake")
    assert counts == {
        (part, method): 2
        for part in ("train", "validation", "test")
        for method in ("real", "DF", "FS", "DFW")
        if (part, method) != ("train", "DFW")
    }


def test_no_person_is_in_two_parts_and_donors_count(benchmark: Path) -> None:
    parts = defaultdict(set)
    for row in _rows(benchmark):
        people = row["people"].split(";")
        assert len(people) == (2 if row["method"] in ("FS", "DFW") else 1)
        assert row["group"] == row["id"].split("-")[0]
        assert row["group"] in people
        for person in people:
            parts[person].add(row["split"])
    assert len(parts) == 6
    assert all(len(where) == 1 for where in parts.values()), parts


def test_twins_have_the_same_frames_but_for_the_forgery(benchmark: Path) -> None:
    rows = {row["id"]: row for row in _rows(benchmark)}
    for row in rows.values():
        frames = _frames(benchmark / row["path"])
        assert len(frames) == OPTIONS.frames
        if row["method"] == "real":
            assert row["twin"] == ""
            continue
        twin = rows[row["twin"]]
        assert (twin["label"], twin["split"]) == ("real", row["split"])
        real = _frames(benchmark / twin["path"])
        assert real.shape == frames.shape
        change = np.abs(frames.astype(int) - real).mean(axis=(0, 3))
        height, width = change.shape
        middle = change[height // 4 : -height // 4, width // 4 : -width // 4].mean()
        assert middle > 1
        if row["method"] != "DFW":
            # The corners only differ by what the codec makes of it.
            assert change[: height // 8, : width // 8].mean() < middle / 3


def _frames(path: Path) -> np.ndarray:  # type: ignore[type-arg]
    video = Video(path.read_bytes(), VideoLimits(), Deadline(math.inf))
    assert (video.container, video.codec, video.fps) == ("mov", "h264", 25)
    return np.stack([frame.rgb for frame in video.frames(range(len(video.times)))])


def test_it_says_that_it_is_synthetic(benchmark: Path) -> None:
    words = json.loads((benchmark / "benchmark.json").read_text())
    assert "synthetic" in words["origin"]
    assert set(words["methods"]) == {"DF", "FS", "DFW"}
    assert all("stand-in" in text for text in words["methods"].values())
    assert words["videos"]["train"] == {"DF": 2, "FS": 2, "real": 2}
    assert words["made_with"]["options"]["strength"] == 1.0


def test_the_same_seed_gives_the_same_bytes_on_more_processes(
    benchmark: Path, photographs: Path, tmp_path: Path
) -> None:
    _make(photographs, tmp_path / "again", processes=2)
    assert _bytes(tmp_path / "again") == _bytes(benchmark)
    for name in ("manifest.csv", "benchmark.json"):
        assert (tmp_path / "again" / name).read_bytes() == (benchmark / name).read_bytes()


def test_a_method_is_the_same_without_the_others_and_another_seed_is_not(
    benchmark: Path, photographs: Path, tmp_path: Path
) -> None:
    before = _bytes(benchmark)
    _make(photographs, tmp_path / "alone", replace(OPTIONS, methods=("DF",)))
    alone = _bytes(tmp_path / "alone")
    assert len(alone) == 12
    assert all(before[path] == value for path, value in alone.items())
    _make(photographs, tmp_path / "other", replace(OPTIONS, methods=("DF",), seed=1))
    assert not set(_bytes(tmp_path / "other").values()) & set(before.values())


def test_it_goes_on_where_it_was(photographs: Path, tmp_path: Path) -> None:
    options = replace(OPTIONS, methods=("DF",))
    _make(photographs, tmp_path / "out", options)
    before = _bytes(tmp_path / "out")
    lost, *kept = (tmp_path / "out" / path for path in before)
    lost.unlink()
    kept[0].write_bytes(b"not looked at again")
    made = _make(photographs, tmp_path / "out", options)
    assert not made.failures
    after = _bytes(tmp_path / "out")
    assert kept[0].read_bytes() == b"not looked at again"
    del before[str(kept[0].relative_to(tmp_path / "out"))]
    assert before.items() <= after.items()
    assert not list((tmp_path / "out").rglob("*.part"))


def test_a_folder_of_something_else_is_refused(
    benchmark: Path, photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for other in (replace(OPTIONS, strength=0.5), replace(OPTIONS, seed=3)):
        with pytest.raises(DataError, match="a benchmark of other options"):
            _make(photographs, benchmark, other)
    monkeypatch.setattr(module, "VERSION", module.VERSION + 1)
    with pytest.raises(DataError, match="a benchmark of an older version"):
        _make(photographs, benchmark)
    (tmp_path / "mine" / "videos").mkdir(parents=True)
    with pytest.raises(DataError, match="not of a benchmark"):
        _make(photographs, tmp_path / "mine")


def test_another_file_of_the_same_size_and_time_is_noticed(
    photographs: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "faces"
    copytree(photographs, folder)
    options = replace(OPTIONS, methods=("DF",))
    _make(folder, tmp_path / "out", options)
    path = folder / "ann.png"
    before = path.stat()
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(DataError, match="a benchmark of other videos"):
        _make(folder, tmp_path / "out", options)


def test_a_file_that_could_not_be_read_may_be_there_the_next_time(
    photographs: Path, tmp_path: Path
) -> None:
    folder, gone = tmp_path / "faces", tmp_path / "gone.png"
    copytree(photographs, folder)
    (folder / "gone.png").symlink_to(gone)
    options = replace(OPTIONS, methods=("DF",))
    first = _make(folder, tmp_path / "out", options)
    assert [(row.id, row.status) for row in first.failures] == [("gone", "unreadable")]
    gone.write_bytes((photographs / "ann.png").read_bytes())
    assert not _make(folder, tmp_path / "out", options).failures
    gone.write_bytes((photographs / "ben.png").read_bytes())
    with pytest.raises(DataError, match="a benchmark of other videos"):
        _make(folder, tmp_path / "out", options)


def test_a_person_and_a_still_of_one_name_are_refused(photographs: Path, tmp_path: Path) -> None:
    folder = tmp_path / "faces"
    copytree(photographs, folder)
    (folder / "still-one.png").write_bytes((photographs / "ann.png").read_bytes())
    stills = photograph_people(tmp_path / "stills", ("one",))
    with pytest.raises(DataError, match=r"still-one\.png and .*one\.png would both be still-one"):
        _make(folder, tmp_path / "out", stills=stills)


def test_a_file_on_which_a_process_dies_is_a_row_and_tried_again(
    photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output, options = tmp_path / "out", replace(OPTIONS, methods=("DF",))
    with monkeypatch.context() as patch:
        patch.setattr(module, "_sighting", die_looking_at_ann)
        patch.setattr(module, "produce", die_forging_ben)
        made = _make(photographs, output, options, processes=2)
    failures = {row.id: row for row in made.failures}
    assert {row.status for row in failures.values()} == {"crashed"}
    assert "ann.png: the process that looked for faces" in failures["ann"].message
    assert "ben.png" in failures["ben-0"].message
    assert failures.keys() == {"ann", "ben-0", "ben-0-DF"}
    assert len(made.videos) == 2 * 4
    again = _make(photographs, output, options)
    assert not again.failures
    assert len(again.videos) == 2 * 6


def die_looking_at_ann(options: Options, folder: Path, person: Person) -> Sighting:
    if person.name == "ann":
        os.kill(os.getpid(), signal.SIGSEGV)
    return look(person, options.frames, options.segments)


def die_forging_ben(workshop: Workshop, job: Job) -> list[Row]:
    if job.person.name == "ben":
        os.kill(os.getpid(), signal.SIGSEGV)
    return produce(workshop, job)


def test_what_makes_no_sense_is_refused(photographs: Path, tmp_path: Path) -> None:
    for options, message in (
        (replace(OPTIONS, strength=0), "strength is above 0"),
        (replace(OPTIONS, strength=1.6), "at most 1.5, not 1.6"),
        (replace(OPTIONS, methods=("DF", "XY")), "no method is called XY; there are DF, FS"),
    ):
        with pytest.raises(DataError, match=message):
            _make(photographs, tmp_path / "out", options)
    assert not (tmp_path / "out").exists()


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """Two people to train, one to test, and a video without a face."""
    folder = photograph_people(tmp_path / "mixed", ("ann", "ben", "cem"))
    (folder / "wall.mp4").write_bytes(numbered_video(8))
    return folder


def test_failures_are_rows_and_the_rest_goes_on(mixed: Path, tmp_path: Path) -> None:
    options = replace(OPTIONS, methods=("DF", "FS"), ratios=(3, 0, 1))
    output = tmp_path / "out"
    made = _make(mixed, output, options)
    report = {row["id"]: row for row in _rows(output, "report.csv")}
    assert report["wall"]["status"] == "no_face"
    assert "wall.mp4" in report["wall"]["message"]
    assert {row.id for row in made.failures} == {
        name for name, row in report.items() if row["status"] != "ok"
    }
    # Whoever is alone in a part has nobody to swap with.
    alone = [row for row in report.values() if row["status"] == "no_donor"]
    assert all(row["method"] == "FS" for row in alone)
    listed = {row["id"] for row in _rows(output)}
    assert listed == {video.id for video in made.videos}
    assert listed.isdisjoint(row.id for row in made.failures)
    assert len(listed) == 6 + sum(row["method"] == "FS" for row in _rows(output))
    with pytest.raises(DataError, match=r"wall\.mp4: no face"):
        _make(mixed, output, options, strict=True)


def test_photographs_lend_faces_to_training_alone(photographs: Path, tmp_path: Path) -> None:
    stills = photograph_people(tmp_path / "stills", ("one",))
    options = replace(OPTIONS, methods=("FS",), ratios=(4, 1, 1))
    _make(photographs, tmp_path / "out", options, stills=stills)
    lent = {row["split"] for row in _rows(tmp_path / "out") if "still-one" in row["people"]}
    assert lent == {"train"}


def test_the_command_makes_one_and_shows_what(mixed: Path, tmp_path: Path) -> None:
    app = typer.Typer()
    app.command()(command)
    words = [str(mixed), str(tmp_path / "out"), "--frames", "3", "--segments", "1"]
    result = CliRunner().invoke(app, [*words, "--methods", "DF, NT", "--ratios", "2", "1", "1"])
    assert result.exit_code == 0, result.output
    assert "wall: no_face: " in result.output
    assert "manifest.csv: 9 videos" in result.output
    assert {row["method"] for row in _rows(tmp_path / "out")} == {"real", "DF", "NT"}
    refused = CliRunner().invoke(app, [*words, "--methods", "ZZ"])
    assert refused.exit_code == 1
