"""Two real faces, at rest, and the folder they come from."""

from __future__ import annotations

from pathlib import Path

import pytest

from model_export.synthetic.people import Person
from model_export.synthetic.segments import Segment, look, read
from tests.unit.model_export.synthetic.people import photograph_people


@pytest.fixture(scope="session")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of six people."""
    return photograph_people(tmp_path_factory.mktemp("people"))


@pytest.fixture(scope="session")
def face(photographs: Path) -> Segment:
    """One person, not moving, for five frames."""
    return _at_rest(photographs / "cem.png")


@pytest.fixture(scope="session")
def stranger(photographs: Path) -> Segment:
    """Another one."""
    return _at_rest(photographs / "eva.png")


def _at_rest(path: Path) -> Segment:
    person = Person(path.stem, path, "train")
    moving = read(person, look(person, 1, 1).found[0], 1, side=100)
    return Segment(moving.frames.repeat(5, axis=0), moving.faces * 5)
