"""DFDC, Celeb-DF, plain folders, and knowing one from the other."""

from __future__ import annotations

import json
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from model_export.data.readers import LAYOUTS, ReaderOptions, read, read_dataset
from model_export.data.split import prove_disjoint
from model_export.data.video import PARTS
from model_export.errors import DataError
from tests.unit.model_export.data.trees import faceforensics, names, parts, touch

# DFDC


def challenge(folder: Path, originals: int, fakes: int, prefix: str = "") -> dict[str, Any]:
    """One part folder: each original with as many fakes."""
    entries: dict[str, Any] = {}
    for original in range(originals):
        name = f"{prefix}{original:03d}.mp4"
        entries[name] = {"label": "REAL", "split": "train", "original": None}
        for number in range(fakes):
            fake = {"label": "FAKE", "split": "train", "original": name}
            entries[f"{prefix}{original:03d}x{number}.mp4"] = fake
    touch(folder, entries)
    (folder / "metadata.json").write_text(json.dumps(entries))
    return entries


def test_dfdc_keeps_an_original_and_its_fakes_together(tmp_path: Path) -> None:
    challenge(tmp_path / "dfdc_train_part_0", 12, 4, "a")
    challenge(tmp_path / "dfdc_train_part_10", 12, 4, "b")
    videos = {each.id: each for each in read_dataset(tmp_path, ReaderOptions())}
    assert len(videos) == 120
    assert {each.part for each in videos.values()} == set(PARTS)
    fake = videos["b003x1"]
    assert (fake.method, fake.label, fake.twin) == ("DFDC", "fake", "b003")
    assert fake.sources == videos["b003"].sources
    assert all(videos[each.twin].part == each.part for each in videos.values() if each.twin)


def test_dfdc_can_be_divided_by_folders(tmp_path: Path) -> None:
    for number in range(3):
        challenge(tmp_path / f"dfdc_train_part_{number}", 3, 2, f"{number}n")
    videos = read_dataset(tmp_path, ReaderOptions(split="folders"))
    by_folder = {(Path(each.location).parent.name, each.part) for each in videos}
    assert len(by_folder) == 3
    assert {part for _, part in by_folder} == set(PARTS)


def test_dfdc_fakes_of_an_absent_original_still_share_it(tmp_path: Path) -> None:
    folder = tmp_path / "dfdc_train_part_0" / "dfdc_train_part_0"
    challenge(folder, 2, 3)
    (folder / "000.mp4").unlink()
    reading = read(tmp_path, ReaderOptions())
    orphans = [each for each in reading.videos if each.id.startswith("000x")]
    assert len(orphans) == 3
    assert len({each.part for each in orphans}) == 1
    assert {each.twin for each in orphans} == {None}
    assert reading.collections[0].missing == ("000.mp4",)
    assert reading.collections[0].found == 7


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"label": "MAYBE"}, r"metadata\.json: a\.mp4 has no label FAKE or REAL"),
        ({}, r"metadata\.json: a\.mp4 has no label FAKE or REAL"),
        ("FAKE", r"metadata\.json: a\.mp4 has no label FAKE or REAL"),
        ({"label": "FAKE"}, r"metadata\.json: the fake a\.mp4 has no original"),
        ({"label": "FAKE", "original": None}, r"the fake a\.mp4 has no original"),
    ],
)
def test_a_wrong_entry_of_dfdc_is_named(tmp_path: Path, entry: object, message: str) -> None:
    folder = tmp_path / "dfdc_train_part_0"
    touch(folder, ["a.mp4"])
    (folder / "metadata.json").write_text(json.dumps({"a.mp4": entry}))
    with pytest.raises(DataError, match=message):
        read_dataset(tmp_path, ReaderOptions())


def test_dfdc_reads_nothing_outside_its_folders(tmp_path: Path) -> None:
    folder = tmp_path / "dfdc_train_part_0"
    touch(folder, [])
    (folder / "metadata.json").write_text('{"../secret.mp4": {"label": "REAL"}}')
    with pytest.raises(DataError, match="not the name of a file"):
        read_dataset(tmp_path, ReaderOptions())


@pytest.mark.parametrize(("text", "message"), [("{", "is not JSON"), ("[]", "does not list")])
def test_unreadable_metadata_are_named(tmp_path: Path, text: str, message: str) -> None:
    touch(tmp_path / "dfdc_train_part_0", [])
    (tmp_path / "dfdc_train_part_0" / "metadata.json").write_text(text)
    with pytest.raises(DataError, match=rf"dfdc_train_part_0/metadata\.json {message}"):
        read_dataset(tmp_path, ReaderOptions())


def test_a_part_of_dfdc_without_metadata_is_refused(tmp_path: Path) -> None:
    challenge(tmp_path / "dfdc_train_part_0", 1, 1)
    touch(tmp_path / "dfdc_train_part_1", ["a.mp4"])
    with pytest.raises(DataError, match=r"dfdc_train_part_1/metadata\.json is not there"):
        read_dataset(tmp_path, ReaderOptions())


# Celeb-DF

PEOPLE = tuple(f"id{number}" for number in range(9))


def celeb_df(path: Path, tests: list[str] | None) -> Path:
    touch(path / "Celeb-real", [f"{one}_000{n}.mp4" for one in PEOPLE for n in range(2)])
    touch(path / "YouTube-real", [f"0000{number}.mp4" for number in range(8)])
    touch(
        path / "Celeb-synthesis",
        [f"{one}_{other}_000{n}.mp4" for one, other in permutations(PEOPLE, 2) for n in range(2)],
    )
    if tests is not None:
        (path / "List_of_testing_videos.txt").write_text("\n".join(tests) + "\n")
    return path


LISTED = [
    "1 YouTube-real/00000.mp4",
    "1 Celeb-real/id0_0000.mp4",
    "0 Celeb-synthesis/id0_id1_0000.mp4",
    "",
]


def test_celeb_df_tests_on_the_list_and_drops_who_is_in_it(tmp_path: Path) -> None:
    reading = read(celeb_df(tmp_path, LISTED), ReaderOptions())
    tested = {name for name, part in parts(reading.videos).items() if part == "test"}
    assert tested == {"real_00000", "real_id0_0000", "CDF_id0_id1_0000"}
    prove_disjoint(reading.videos)
    others = [each for each in reading.videos if each.part != "test"]
    assert {each.part for each in others} == {"train", "validation"}
    assert not any({"cdf_id0", "cdf_id1"} & each.people for each in others)
    # The other videos of both, and the fakes with either: 3 and 2 * 2 * (9 * 8 - 7 * 6) / 2 - 1.
    assert len(reading.left_out) == 3 + 59
    assert {file.reason for file in reading.left_out} == {"shares people or sources with test"}
    assert "split people" in reading.notes[0]
    fake = next(each for each in reading.videos if each.id == "CDF_id0_id1_0000")
    assert (fake.people, fake.twin) == ({"cdf_id0", "cdf_id1"}, "real_id0_0000")
    assert fake.sources == {"cdf_id0_0000"}


def test_celeb_df_can_refuse_the_overlap_with_both_files(tmp_path: Path) -> None:
    celeb_df(tmp_path, LISTED)
    with pytest.raises(DataError) as refused:
        read(tmp_path, ReaderOptions(overlap="refuse"))
    for word in ("id0_0000.mp4 (test)", "id0_0001.mp4 (train)", "the person cdf_id0"):
        assert word in str(refused.value)


def test_celeb_df_can_be_divided_by_people(tmp_path: Path) -> None:
    celeb_df(tmp_path, None)
    options = ReaderOptions(split="people", ratios=(0.4, 0.3, 0.3))
    reading = read(tmp_path, options)
    assert len({(each.part, each.label) for each in reading.videos}) == 6
    assert len(reading.videos) + len(reading.left_out) == 18 + 8 + 144
    assert {file.method for file in reading.left_out} == {"CDF"}
    with pytest.raises(DataError, match=r"List_of_testing_videos\.txt cannot be read"):
        read(tmp_path, ReaderOptions())


@pytest.mark.parametrize("videos", [[], ["id0_0000.mp4"]])
def test_hardly_any_people_can_be_divided_too(tmp_path: Path, videos: list[str]) -> None:
    touch(tmp_path / "Celeb-synthesis", [])
    touch(tmp_path / "Celeb-real", videos)
    options = ReaderOptions(split="people", ratios=(1, 1, 1))
    assert len(read(tmp_path, options).videos) == len(videos)


def test_listed_videos_that_are_missing_are_named(tmp_path: Path) -> None:
    reading = read(celeb_df(tmp_path, ["1 Celeb-real/id7_0042.mp4"]), ReaderOptions())
    found = {each.name: each for each in reading.collections}
    assert found["Celeb-real"].missing == ("Celeb-real/id7_0042.mp4",)
    assert (found["Celeb-synthesis"].found, found["Celeb-synthesis"].expected) == (144, 5639)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("2 YouTube-real/00000.mp4", "line 2 is not like"),
        ("YouTube-real/00000.mp4", "line 2 is not like"),
        ("1 Elsewhere/00000.mp4", "line 2 is not like"),
        ("0 YouTube-real/00000.mp4", "line 2 calls YouTube-real/00000.mp4 fake"),
    ],
)
def test_a_wrong_line_of_the_list_is_named(tmp_path: Path, line: str, message: str) -> None:
    celeb_df(tmp_path, [LISTED[0], line])
    with pytest.raises(DataError, match=rf"List_of_testing_videos\.txt, {message}"):
        read(tmp_path, ReaderOptions())


# Plain folders


def plain(path: Path) -> Path:
    touch(path / "real", [f"anna-{n}.mp4" for n in range(3)] + [f"bob-{n}.MOV" for n in range(3)])
    touch(path / "real", [f"c{n}.mp4" for n in range(20)])
    touch(path / "fake" / "swap", [f"anna-{n}.mp4" for n in range(9)])
    touch(path / "fake" / "dub", [f"c{n}.webm" for n in range(20)])
    touch(path / "real", [".hidden.mp4", "notes.txt"])
    return path


def test_a_folder_is_divided_by_names(tmp_path: Path) -> None:
    reading = read(plain(tmp_path), ReaderOptions())
    found = parts(reading.videos)
    assert len(found) == 26 + 29
    assert {each.method for each in reading.videos} == {"real", "swap", "dub"}
    assert all(found[f"real_c{n}"] == found[f"dub_c{n}"] for n in range(20))
    assert set(found.values()) == set(PARTS)
    assert names(reading.left_out) == ["notes.txt"]


def test_a_separator_names_larger_groups(tmp_path: Path) -> None:
    found = parts(read_dataset(plain(tmp_path), ReaderOptions(separator="-")))
    assert len({part for name, part in found.items() if "anna" in name}) == 1
    assert len({part for name, part in found.items() if "bob" in name}) == 1


def test_choosing_methods_moves_no_video(tmp_path: Path) -> None:
    everything = parts(read_dataset(plain(tmp_path), ReaderOptions()))
    some = parts(read_dataset(tmp_path, ReaderOptions(methods=("dub",))))
    assert some == {name: everything[name] for name in some}
    assert not any(name.startswith("swap") for name in some)
    with pytest.raises(DataError, match="no method lip; there are dub, swap"):
        read_dataset(tmp_path, ReaderOptions(methods=("lip",)))


def test_fakes_without_a_folder_have_a_method(tmp_path: Path) -> None:
    touch(tmp_path / "fake", ["a.mp4", "b c(é).mp4"])
    videos = read_dataset(tmp_path, ReaderOptions())
    assert {each.method for each in videos} == {"fake"}
    assert "fake_a" in parts(videos)
    assert all(each.id.isascii() and " " not in each.id for each in videos)


def test_names_that_differ_only_in_strange_characters_stay_two(tmp_path: Path) -> None:
    touch(tmp_path / "real", ["a b.mp4", "a?b.mp4", "a" * 140 + ".mp4", "a" * 141 + ".mp4"])
    found = parts(read_dataset(tmp_path, ReaderOptions()))
    assert len(found) == 4
    assert all(len(name) <= 120 for name in found)


def test_two_files_of_one_id_are_both_named(tmp_path: Path) -> None:
    touch(tmp_path / "real", ["a.mp4", "a.mkv"])
    with pytest.raises(DataError, match=r"a\.mkv and .*a\.mp4 have the same id real_a"):
        read_dataset(tmp_path, ReaderOptions())


def test_a_group_without_a_name_is_refused(tmp_path: Path) -> None:
    touch(tmp_path / "real", ["_1.mp4"])
    with pytest.raises(DataError, match=r"_1\.mp4"):
        read_dataset(tmp_path, ReaderOptions(separator="_"))


# Which is which


def test_layouts_are_recognised(tmp_path: Path) -> None:
    faceforensics(tmp_path / "a", [("000", "001")])
    challenge(tmp_path / "b" / "dfdc_train_part_0", 1, 1)
    challenge(tmp_path / "b2", 1, 1)
    celeb_df(tmp_path / "c", LISTED)
    plain(tmp_path / "d")
    found = [read(tmp_path / "a", ReaderOptions(split="papers")).layout]
    found += [read(tmp_path / name, ReaderOptions()).layout for name in ("b", "b2", "c", "d")]
    assert found == ["faceforensics", "dfdc", "dfdc", "celeb-df", "folder"]
    assert set(found) | {"manifest"} == set(LAYOUTS)


def test_an_unknown_or_double_layout_asks_which(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no layout that is known.*say which of faceforensics"):
        read(tmp_path, ReaderOptions())
    plain(tmp_path)
    celeb_df(tmp_path, LISTED)
    with pytest.raises(DataError, match="several layouts: say which of celeb-df, folder"):
        read(tmp_path, ReaderOptions())
    assert read(tmp_path, ReaderOptions(layout="folder")).layout == "folder"


def test_wrong_options_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no layout zip"):
        read(tmp_path, ReaderOptions(layout="zip"))
    with pytest.raises(DataError, match="nowhere is not there"):
        read(tmp_path / "nowhere", ReaderOptions())
    plain(tmp_path)
    with pytest.raises(DataError, match="the layout folder has no split papers, only groups"):
        read(tmp_path, ReaderOptions(split="papers"))
