"""The page's programs are typed, in comments, and the types hold."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from service.api.page import FOLDER
from tests.web.browser import installed

TYPES = Path(__file__).with_name("tsconfig.json")


def checked(folder: Path) -> subprocess.CompletedProcess[str]:
    """What the compiler says of a copy of the page."""
    page = folder / "service" / "page"
    shutil.copytree(FOLDER, page, dirs_exist_ok=True)
    project = folder / "tests" / "web" / TYPES.name
    project.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(TYPES, project)
    return subprocess.run(
        [installed("tsc"), "--noEmit", "--project", str(project)],
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_they_hold(tmp_path: Path) -> None:
    done = checked(tmp_path)
    assert done.returncode == 0, done.stdout


def test_a_wrong_one_is_noticed(tmp_path: Path) -> None:
    page = tmp_path / "service" / "page"
    page.mkdir(parents=True)
    (page / "wrong.js").write_text("/** @type {number} */\nexport const a = document.nothing;\n")
    done = checked(tmp_path)
    assert done.returncode != 0
    assert "wrong.js" in done.stdout
