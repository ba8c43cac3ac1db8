"""Who is in which part is fixed by name and seed."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from model_export.errors import DataError
from model_export.synthetic.people import find_people, find_stills, generator

RATIOS = (0.6, 0.2, 0.2)


def _folder(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).touch()
    return folder


def _parts(folder: Path, seed: int = 0) -> dict[str, str]:
    return {person.name: person.part for person in find_people(folder, RATIOS, seed)}


def test_everybody_is_in_one_part_by_the_shares(tmp_path: Path) -> None:
    names = [f"{number:02}.mp4" for number in range(20)]
    parts = _parts(_folder(tmp_path, *names, "notes.txt", ".hidden.mp4"))
    assert sorted(parts) == [f"{number:02}" for number in range(20)]
    assert Counter(parts.values()) == {"train": 12, "validation": 4, "test": 4}


def test_parts_depend_on_names_and_seed_alone(tmp_path: Path) -> None:
    names = [f"{number:02}" for number in range(20)]
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one = _folder(tmp_path / "a", *(f"{name}.mp4" for name in names))
    two = _folder(tmp_path / "b", *(f"{name}.mov" for name in reversed(names)))
    assert _parts(one) == _parts(two)
    assert _parts(one) != _parts(one, seed=1)


def test_small_parts_get_somebody(tmp_path: Path) -> None:
    assert Counter(_parts(_folder(tmp_path, "a.mp4", "b.webm", "c.png")).values()) == {
        "train": 1,
        "validation": 1,
        "test": 1,
    }
    (tmp_path / "c.png").unlink()
    with pytest.raises(DataError, match="holds 2 videos of people; 3 parts need as many"):
        _parts(tmp_path)
    assert len(find_people(tmp_path, (0.5, 0, 0.5), 0)) == 2


def test_names_are_made_fit_for_ids_and_stay_apart(tmp_path: Path) -> None:
    _folder(tmp_path, "Zoë läuft (1).mp4", "b.mp4", "c.mp4")
    assert "Zo-l-uft-1-" in _parts(tmp_path)
    with pytest.raises(DataError, match=r"b\.mp4 and b\.mov have one name|b\.mov and b\.mp4"):
        _parts(_folder(tmp_path, "b.mov"))


def test_stills_only_train(tmp_path: Path) -> None:
    stills = find_stills(_folder(tmp_path, "x.jpg", "y.PNG", "z.mp4"))
    assert [(still.name, still.part) for still in stills] == [
        ("still-x", "train"),
        ("still-y", "train"),
    ]
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no photographs"):
        find_stills(tmp_path / "empty")


def test_two_stills_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a b\.jpg and a-b\.jpg have one name, still-a-b"):
        find_stills(_folder(tmp_path, "a b.jpg", "a-b.jpg"))


def test_things_have_random_numbers_of_their_own() -> None:
    def first(*words: str, seed: int = 0) -> float:
        return float(generator(seed, *words).random())

    assert first("a", "b") == first("a", "b")
    assert len({first("a", "b"), first("ab"), first("b", "a"), first("a", "b", seed=1)}) == 4
