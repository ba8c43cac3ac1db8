"""A work folder is taken up again only for the same videos and options."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from model_export.cli import app
from model_export.synthetic.benchmark import VERSION
from tests.unit.model_export.synthetic.people import photograph_people


def test_a_work_folder_of_other_videos_is_refused_in_one_line(tmp_path: Path) -> None:
    faces, work = photograph_people(tmp_path / "faces"), tmp_path / "work"
    (work / "videos").mkdir(parents=True)
    made_with = {"version": VERSION, "files": {"else": 1}}
    (work / "videos" / "benchmark.json").write_text(json.dumps({"made_with": made_with}))
    model = tmp_path / "model.onnx"
    done = CliRunner().invoke(
        app, ["train-demo", str(faces), "--work", str(work), "-o", str(model)]
    )
    assert done.exit_code == 1
    assert "holds a benchmark of other options; choose another folder" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert [path.name for path in work.rglob("*")] == ["videos", "benchmark.json"]
    assert not model.exists()
