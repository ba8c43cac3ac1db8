"""FaceForensics++ and DeepFakeDetection from the folders their script makes."""

from __future__ import annotations

import random
from collections import Counter
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from model_export.data import people as people_module
from model_export.data.people import draw_people
from model_export.data.readers import ReaderOptions, read, read_dataset
from model_export.data.split import prove_disjoint
from model_export.errors import DataError
from tests.unit.model_export.data.trees import (
    faceforensics,
    names,
    official_splits,
    parts,
    touch,
    video,
)

OFFICIAL = {
    "train": [("071", "054"), ("087", "800")],
    "val": [("720", "672")],
    "test": [("953", "974")],
}
ALL_PAIRS = [pair for pairs in OFFICIAL.values() for pair in pairs]
PAPERS = ReaderOptions(split="papers")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    faceforensics(tmp_path / "ff", ALL_PAIRS, ["DF", "NT"])
    official_splits(tmp_path / "ff" / "splits", OFFICIAL)
    return tmp_path / "ff"


def test_each_official_pair_stands_for_both_orders(tree: Path) -> None:
    assert parts(read_dataset(tree, ReaderOptions(methods=("DF",)))) == {
        "real_071": "train",
        "real_054": "train",
        "real_087": "train",
        "real_800": "train",
        "real_720": "validation",
        "real_672": "validation",
        "real_953": "test",
        "real_974": "test",
        "DF_071_054": "train",
        "DF_054_071": "train",
        "DF_087_800": "train",
        "DF_800_087": "train",
        "DF_720_672": "validation",
        "DF_672_720": "validation",
        "DF_953_974": "test",
        "DF_974_953": "test",
    }


def test_a_fake_is_its_targets_frames_with_two_peoples_faces(tree: Path) -> None:
    videos = {each.id: each for each in read_dataset(tree, ReaderOptions())}
    fake, real = videos["NT_071_054"], videos["real_071"]
    assert (fake.method, fake.label, fake.twin) == ("NT", "fake", real.id)
    assert fake.people == fake.sources == {"ff-071", "ff-054"}
    assert (real.method, real.label, real.twin) == ("real", "real", None)
    assert real.sources == {"ff-071"}
    assert Path(fake.location).is_file()


def test_splits_can_lie_elsewhere(tree: Path, tmp_path: Path) -> None:
    other = official_splits(tmp_path / "mine", {**OFFICIAL, "train": OFFICIAL["val"], "val": []})
    found = parts(read_dataset(tree, ReaderOptions(splits=other)))
    assert found["real_720"] == "train"
    assert "real_071" not in found


def test_the_papers_split_drops_exactly_the_crossing_pairs(tmp_path: Path) -> None:
    pairs = [
        ("000", "749"),
        ("748", "750"),  # trains and validates
        ("751", "874"),
        ("752", "875"),  # validates and tests
        ("876", "999"),
        ("001", "998"),  # trains and tests
    ]
    reading = read(faceforensics(tmp_path, pairs, ["DF", "F2F"]), PAPERS)
    fakes = {name: part for name, part in parts(reading.videos).items() if "DF" in name}
    assert fakes == {
        "DF_000_749": "train",
        "DF_749_000": "train",
        "DF_751_874": "validation",
        "DF_874_751": "validation",
        "DF_876_999": "test",
        "DF_999_876": "test",
    }
    assert sum(each.label == "real" for each in reading.videos) == 12
    crossing = ["001_998", "748_750", "750_748", "752_875", "875_752", "998_001"]
    assert sorted(names(reading.left_out)) == sorted(f"{name}.mp4" for name in crossing * 2)
    assert Counter(file.reason for file in reading.left_out) == {
        "its people are in train and test": 4,
        "its people are in train and validation": 4,
        "its people are in validation and test": 4,
    }


def test_crossing_pairs_can_be_refused_with_both_files(tmp_path: Path) -> None:
    faceforensics(tmp_path, [("000", "001"), ("748", "750")])
    with pytest.raises(DataError) as refused:
        read(tmp_path, ReaderOptions(split="papers", overlap="refuse"))
    for word in ("748_750.mp4 (train)", "750.mp4 (validation)", "ff-750"):
        assert word in str(refused.value)


def test_half_a_pair_in_another_part_of_the_official_split_is_dropped(tree: Path) -> None:
    touch(tree / "manipulated_sequences/Deepfakes/c23/videos", ["071_953.mp4", "071_111.mp4"])
    reading = read(tree, ReaderOptions())
    assert "DF_071_953" not in parts(reading.videos)
    assert {Path(file.location).name: file.reason for file in reading.left_out} == {
        "071_953.mp4": "its people are in train and test",
        "071_111.mp4": "not in the split",
    }


@pytest.mark.parametrize("folder", ["c0", "raw"])
def test_the_lossless_folder_has_two_names(tmp_path: Path, folder: str) -> None:
    faceforensics(tmp_path, ALL_PAIRS, compression=folder)
    assert len(read_dataset(tmp_path, ReaderOptions(split="papers", compression="c0"))) > 8
    with pytest.raises(DataError, match=r"no videos of compression c40.*youtube/c40/videos"):
        read_dataset(tmp_path, ReaderOptions(split="papers", compression="c40"))


def test_one_compression_is_read(tree: Path) -> None:
    faceforensics(tree, [("000", "001")], compression="c40")
    assert len(read_dataset(tree, ReaderOptions())) == 24


def test_what_is_missing_is_named(tree: Path) -> None:
    fakes = tree / "manipulated_sequences/NeuralTextures/c23/videos"
    (fakes / "071_054.mp4").unlink()
    (fakes / "974_953.mp4").unlink()
    (tree / "original_sequences/youtube/c23/videos/054.mp4").unlink()
    (fakes / "readme.mp4").touch()
    reading = read(tree, ReaderOptions())
    collections = {each.name: each for each in reading.collections}
    textures = collections["manipulated_sequences/NeuralTextures/c23/videos"]
    assert (textures.expected, textures.missing) == (8, ("071_054.mp4", "974_953.mp4"))
    assert collections["original_sequences/youtube/c23/videos"].missing == ("054.mp4",)
    assert names(reading.left_out) == ["readme.mp4"]
    assert any("FaceShifter" in note and "Deepfakes" not in note for note in reading.notes)
    twins = {each.id: each.twin for each in reading.videos}
    assert (twins["DF_054_071"], twins["DF_071_054"]) == (None, "real_071")


def test_the_papers_split_knows_a_pair_by_another_method(tmp_path: Path) -> None:
    faceforensics(tmp_path, [("000", "001")], ["DF", "FS"])
    (tmp_path / "manipulated_sequences/FaceSwap/c23/videos/001_000.mp4").unlink()
    collections = {each.method: each for each in read(tmp_path, PAPERS).collections}
    assert (collections["FS"].expected, collections["FS"].missing) == (1000, ("001_000.mp4",))
    assert len(collections["real"].missing) == 998


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, r"val\.json cannot be read \(No such file or directory\)"),
        ("[[", r"val\.json is not JSON"),
        ('{"071": "054"}', r"val\.json is not a list of pairs"),
        ('[["071", "054", "001"]]', r"val\.json is not a list of pairs"),
        ("[[71, 54]]", r"val\.json is not a list of pairs"),
        ('[["071", "999"]]', r"val\.json: video 071 is in the split already"),
        ("\udcff", r"val\.json is not JSON"),
    ],
)
def test_a_wrong_split_file_is_named(tree: Path, text: str | None, message: str) -> None:
    file = tree / "splits" / "val.json"
    if text is None:
        file.unlink()
    else:
        file.write_text(text, errors="surrogateescape")
    with pytest.raises(DataError, match=message):
        read_dataset(tree, ReaderOptions())


def test_methods_that_are_not_there_are_refused(tree: Path) -> None:
    with pytest.raises(DataError, match="FaceSwap is not there"):
        read_dataset(tree, ReaderOptions(methods=("DF", "FS")))
    with pytest.raises(DataError, match="no method XY; there are DF, FS, F2F, NT, FSh, DFD"):
        read_dataset(tree, ReaderOptions(methods=("XY",)))


def deepfakedetection(path: Path, actors: int, fakes: int) -> Path:
    """Real and forged videos of as many actors, scenes and runs as the published ones have."""
    scenes = [f"{place}_{mood}" for place in ("kitchen", "podium", "hugging") for mood in "abcd"]
    people = [f"{number:02d}" for number in range(1, actors + 1)]
    reals = [f"{one}__{scene}" for one, scene in product(people, [*scenes, "exit_phone_room"])]
    touch(path / "original_sequences/actors/c23/videos", (f"{name}.mp4" for name in reals))
    pairs = [(a, b, s) for a, b, s in product(people, people, scenes) if a != b]
    chosen = random.Random(0).sample(pairs, fakes)
    touch(
        path / "manipulated_sequences/DeepFakeDetection/c23/videos",
        (f"{a}_{b}__{scene}__{number:08X}.mp4" for number, (a, b, scene) in enumerate(chosen)),
    )
    return path


def test_deepfakedetection_is_drawn_by_actors(tmp_path: Path) -> None:
    deepfakedetection(tmp_path, actors=28, fakes=1500)
    reading = read(tmp_path, ReaderOptions(seed=3))
    counts = Counter((each.part, each.label) for each in reading.videos)
    assert counts == {
        (part, label): number
        for part, number in (("train", 250), ("validation", 25), ("test", 25))
        for label in ("real", "fake")
    }
    prove_disjoint(reading.videos)
    assert len(reading.videos) + len(reading.left_out) == 28 * 13 + 1500
    assert "seed 3: train 250 real and 250 fake of 250 each" in reading.notes[0]
    other = read(tmp_path, ReaderOptions(seed=4)).videos
    assert set(parts(reading.videos)) != set(parts(other))


def test_actors_and_scenes_are_read_from_the_names(tmp_path: Path) -> None:
    deepfakedetection(tmp_path, actors=6, fakes=200)
    videos = {each.id: each for each in read_dataset(tmp_path, ReaderOptions())}
    twins = [each for each in videos.values() if each.twin]
    assert twins
    for fake in twins:
        (actors, scene, _), real = Path(fake.location).stem.split("__"), videos[fake.twin or ""]
        assert fake.people == {f"dfd-{actor}" for actor in actors.split("_")}
        assert Path(real.location).name == f"{actors[:2]}__{scene}.mp4"
        assert real.sources == fake.sources == {f"dfd_{actors[:2]}__{scene}"}


def test_deepfakedetection_says_what_it_could_not_have(tmp_path: Path) -> None:
    touch(tmp_path / "original_sequences/actors/c23/videos", ["01__exit.mp4", "02__exit.mp4"])
    touch(
        tmp_path / "manipulated_sequences/DeepFakeDetection/c23/videos",
        ["01_02__exit__ABCDEFGH.mp4", "02_01__exit__ABCDEFGH.mp4", "notes.mp4"],
    )
    reading = read(tmp_path, ReaderOptions())
    assert "of 2 each" in reading.notes[0] or "of 1 each" in reading.notes[0]
    assert "notes.mp4" in names(reading.left_out)
    prove_disjoint(reading.videos)


def test_both_kinds_of_real_videos_come_with_their_fakes(tree: Path) -> None:
    deepfakedetection(tree, actors=12, fakes=600)
    everything = {each.id for each in read_dataset(tree, ReaderOptions())}
    actors = {each.id for each in read_dataset(tree, ReaderOptions(methods=("DFD",)))}
    swapped = {each.id for each in read_dataset(tree, ReaderOptions(methods=("DF", "NT")))}
    assert everything == actors | swapped
    assert {"real_071", "DF_071_054", "NT_071_054"} <= swapped
    assert all("__" in name for name in actors)
    assert not any("__" in name for name in swapped)


def test_people_are_divided_so_that_the_parts_get_what_is_wanted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    people = [f"p{number}" for number in range(12)]
    fakes = [video(f"{a}{b}", people={a, b}) for a, b in product(people, people) if a < b]
    reals = [video(f"r{name}", label="real", people={name}) for name in people]
    wanted = {"train": (6, 15), "validation": (3, 3), "test": (3, 3)}
    homes = draw_people([*fakes, *reals], wanted, seed=0)
    assert homes == draw_people([*reals, *fakes[::-1]], wanted, seed=0)
    assert Counter(homes.values()) == {"train": 6, "validation": 3, "test": 3}
    few = {"train": (2, 1), "validation": (1, 1), "test": (1, 1)}  # Many divisions give that.
    enough = draw_people([*fakes, *reals], few, seed=0)
    met, noise = people_module._met, np.random.default_rng(0)
    # Another machine rounds otherwise: where two places are equally good, that must not decide.
    monkeypatch.setattr(people_module, "_met", lambda *of: met(*of) + noise.uniform(-1e-12, 1e-12))
    for _ in range(5):
        assert homes == draw_people([*fakes, *reals], wanted, seed=0)
        assert enough == draw_people([*fakes, *reals], few, seed=0)
