"""What a prepared folder refuses to be."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from pathlib import Path

import pytest

from model_export.data.prepared import PreparedDataset, read_rows, write_rows
from model_export.errors import DataError
from tests.unit.model_export.training.tiny import tiny_dataset


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tiny_dataset(tmp_path / "clips", videos=1)


def test_a_folder_in_which_two_parts_share_somebody_is_not_opened(folder: Path) -> None:
    rows = read_rows(folder / "videos.csv")
    shown = next(row.video.people for row in rows if row.video.part == "train")
    moved = [
        replace(row, video=replace(row.video, people=shown)) if row.video.part == "test" else row
        for row in rows
    ]
    write_rows(moved, folder / "videos.csv")
    with pytest.raises(DataError, match=f"{folder.name}: .* share the person"):
        PreparedDataset(folder)


@pytest.mark.parametrize(("old", "new"), [("fake", "Fake"), ("validation", "val")])
def test_a_label_or_part_that_nobody_knows_is_named_not_guessed(
    folder: Path, old: str, new: str
) -> None:
    table = folder / "videos.csv"
    table.write_text(table.read_text().replace(f",{old},", f",{new},", 1))
    with pytest.raises(DataError, match=r"videos\.csv, line \d+: not a row"):
        PreparedDataset(folder)


def test_a_file_name_that_is_not_utf_8_comes_back_as_it_was(folder: Path) -> None:
    rows = read_rows(folder / "videos.csv")
    name = os.fsdecode(b"caf\xe9.mp4")
    rows[0] = replace(rows[0], video=replace(rows[0].video, location=name), message=name)
    write_rows(rows, folder / "videos.csv")
    assert read_rows(folder / "videos.csv")[0] == rows[0]


def test_a_row_s_hash_is_that_of_its_file(folder: Path) -> None:
    dataset = PreparedDataset(folder)
    for row in dataset.rows:
        data = dataset.path(row.video.id).read_bytes()
        assert row.sha256 == hashlib.sha256(data).hexdigest()


def test_a_name_with_a_semicolon_stays_one_name(folder: Path) -> None:
    rows = read_rows(folder / "videos.csv")
    rows[0] = replace(rows[0], video=replace(rows[0].video, people=frozenset({"a;b"})))
    write_rows(rows, folder / "videos.csv")
    assert read_rows(folder / "videos.csv")[0].video.people == {"a,b"}
