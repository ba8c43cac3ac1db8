"""Prepared folders and what they are prepared from."""

from __future__ import annotations

from pathlib import Path

import pytest

from model_export.data import prepare as prepare_module
from model_export.data.video import LabelledVideo
from model_export.data.worker import CutOptions, Job, VideoCutter
from tests.unit.model_export.data import film
from tests.unit.model_export.data.preparing import prepared


@pytest.fixture(scope="package")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of five videos, the second one long."""
    folder = tmp_path_factory.mktemp("films")
    for name, count in (("a", 10), ("b", 40), ("c", 12), ("d", 15), ("e", 10)):
        film.filmed(folder, name, count)
    return folder


@pytest.fixture(scope="package")
def labelled(films: Path) -> list[LabelledVideo]:
    return [film.video(path.stem, path) for path in sorted(films.glob("*.mp4"))]


@pytest.fixture(scope="package")
def in_one_go(labelled: list[LabelledVideo], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "prepared"
    prepared(labelled, folder)
    return folder


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
