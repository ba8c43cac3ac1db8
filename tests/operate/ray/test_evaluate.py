"""A list of videos scored by tasks of a cluster."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests import media
from tests.onnx_models import brightness_model
from tests.operate.ray.clusters import PYTHON, needs_ray
from tests.security.server_process import REPOSITORY

pytestmark = needs_ray

LOCALLY = [sys.executable, "-m", "service", "evaluate"]
BY_RAY = [str(PYTHON), "-m", "deploy.ray.evaluate"]
"""On a cluster of its own."""

OPTIONS = ("--address", "local", "--tasks", "1", "--size", "2", "--cpus", "0")


def scored(command: Sequence[str], folder: Path, *options: str) -> list[dict[str, Any]]:
    """Run an evaluation of ``videos.csv`` in a folder; its rows by id, without how long they
    took."""
    variables = {"PYTHONPATH": str(REPOSITORY), "PYTHONDONTWRITEBYTECODE": "1"}
    # Paths of Ray's sockets must be short, and its token is kept in a home.
    with TemporaryDirectory(dir="/dev/shm") as short:
        variables |= {"TMPDIR": short, "RAY_AUTH_MODE": "disabled"}
        subprocess.run(
            [*command, "videos.csv", "--model", "brightness.onnx", *options],
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
    return folder / "videos-evaluation" / "rows.jsonl"


def test_rows_are_those_of_one_machine_and_work_goes_on_where_it_ended(tmp_path: Path) -> None:
    videos = {
        "faces.mp4": media.group_video(15),
        "none.mp4": media.numbered_video(20),
        "broken.mp4": b"no video",
    }
    for folder in (here := tmp_path / "here", there := tmp_path / "there"):
        folder.mkdir()
        (folder / "brightness.onnx").write_bytes(brightness_model())
        for name, data in videos.items():
            (folder / name).write_bytes(data)
        lines = ["label,path", *(f"fake,{name}" for name in videos), "real,faces.mp4"]
        (folder / "videos.csv").write_text("\n".join(lines))
    expected = scored(LOCALLY, here, "--sampling", "full")
    assert [row["status"] for row in expected] == ["ok", "no_face", "error", "ok"]
    # One way goes on with what the other has begun.
    begun = journal(here).read_text().splitlines(keepends=True)[:2]
    journal(there).parent.mkdir()
    journal(there).write_text("".join(begun))
    assert scored(BY_RAY, there, "--sampling", "full", *OPTIONS) == expected
    assert journal(there).read_text().startswith("".join(begun))
    assert (there / "videos-evaluation" / "report.html").exists()
