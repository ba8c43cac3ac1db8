"""A list of videos scored by tasks of a cluster."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from typer.testing import CliRunner

from service.cli import app
from tests import media
from tests.onnx_models import brightness_model
from tests.operate.ray.clusters import PYTHON, inside, needs_ray
from tests.security.server_process import REPOSITORY

pytestmark = needs_ray

OPTIONS = ("--sampling", "stride=0.4", "--model")


def here(folder: Path) -> list[dict[str, Any]]:
    """Rows of ``videos.csv`` in a folder, scored by this process."""
    words = [str(folder / "videos.csv"), "--out", str(folder / "out"), *OPTIONS]
    done = CliRunner().invoke(app, ["evaluate", *words, str(folder / "brightness.onnx")])
    assert done.exit_code == 0, done.output
    return rows(folder)


def by_ray(folder: Path) -> list[dict[str, Any]]:
    """The same by tasks, on a cluster of its own."""
    words = ["videos.csv", "--out", "out", *OPTIONS, "brightness.onnx"]
    words += ["--address", "local", "--tasks", "1", "--size", "2", "--cpus", "0"]
    variables = {"PYTHONPATH": str(REPOSITORY), "PYTHONDONTWRITEBYTECODE": "1"}
    # Paths of Ray's sockets must be short, and its token is kept in a home.
    with TemporaryDirectory(dir="/dev/shm") as short:
        variables |= {"TMPDIR": short, "RAY_AUTH_MODE": "disabled"}
        subprocess.run(
            [str(PYTHON), "-m", "deploy.ray.evaluate", *words],
            cwd=folder,
            env=os.environ | variables,
            check=True,
            timeout=240,
        )
    return rows(folder)


def rows(folder: Path) -> list[dict[str, Any]]:
    lines = journal(folder).read_text().splitlines()[1:]
    found = [json.loads(line) for line in lines]
    for row in found:
        del row["seconds"]
    return sorted(found, key=lambda row: row["id"])


def journal(folder: Path) -> Path:
    return folder / "out" / "rows.jsonl"


def test_rows_are_those_of_one_machine_and_work_goes_on_where_it_ended(tmp_path: Path) -> None:
    videos = {
        "faces.mp4": media.group_video(15),
        "none.mp4": media.numbered_video(20),
        "broken.mp4": b"no video",
    }
    one, many = tmp_path / "one", tmp_path / "many"
    for folder in (one, many):
        folder.mkdir()
        (folder / "brightness.onnx").write_bytes(brightness_model())
        for name, data in videos.items():
            (folder / name).write_bytes(data)
        lines = ["label,path", *(f"fake,{name}" for name in videos), "real,faces.mp4"]
        (folder / "videos.csv").write_text("\n".join(lines))
    expected = here(one)
    assert [row["status"] for row in expected] == ["ok", "no_face", "error", "ok"]
    # One way goes on with what the other has begun.
    begun = "".join(journal(one).read_text().splitlines(keepends=True)[:2])
    journal(many).parent.mkdir()
    journal(many).write_text(begun)
    assert by_ray(many) == expected
    assert journal(many).read_text().startswith(begun)
    assert (many / "out" / "report.html").exists()


DUMPS = """
import resource
from deploy.ray import evaluate

async def none(items, work):
    print(*resource.getrlimit(resource.RLIMIT_CORE))
    for row in items:
        yield row

evaluate._rows = none
list(evaluate.score((), None))
"""


def test_a_task_leaves_no_core_dump() -> None:
    assert inside(["-c", DUMPS]).split() == ["1", "1"]
