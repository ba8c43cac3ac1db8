"""A work folder is taken up again only for the same videos and options."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests import media


def test_a_work_folder_of_other_videos_is_refused_in_one_line(tmp_path: Path) -> None:
    faces, work = tmp_path / "faces", tmp_path / "work"
    faces.mkdir()
    work.mkdir()
    (faces / "somebody.mp4").write_bytes(media.numbered_video(10))
    (work / "inputs.json").write_text('{"files": {"somebody-else.mp4": 1}}')
    command = [sys.executable, "-m", "model_export", "train-demo", faces, "--work", work]
    done = subprocess.run(
        [*command, "-o", tmp_path / "model.onnx"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1
    assert "was made from other videos" in done.stderr
    assert "Traceback" not in done.stderr
    assert [path.name for path in work.iterdir()] == ["inputs.json"]
