"""Preparing small datasets, here or in a process of its own, and comparing what came of it."""

from __future__ import annotations

import resource
import subprocess
import sys
from dataclasses import replace
from io import StringIO
from pathlib import Path

from rich.console import Console

from model_export.data.prepare import prepare
from model_export.data.prepared import PreparedVideo, read_rows
from model_export.data.video import LabelledVideo
from model_export.data.worker import CutOptions

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
