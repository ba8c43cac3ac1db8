"""No two parts share a person or a source, however they came about."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_export.data.split import (
    assign_by_group,
    give_way,
    groups,
    place,
    prove_disjoint,
    require_classes,
)
from model_export.data.video import PARTS, LabelledVideo, Part
from model_export.errors import DataError
from tests.unit.model_export.data.trees import names, parts, video

some_names = st.sets(st.sampled_from("abcdefghijklmnop"), max_size=3)
datasets = st.lists(
    st.tuples(some_names, some_names, st.sampled_from(["real", "fake"])), max_size=30
).map(
    lambda rows: [
        video(f"v{number}", label=label, people=people, sources=sources)
        for number, (people, sources, label) in enumerate(rows)
    ]
)
shares = st.tuples(*[st.floats(0, 1)] * 3).filter(lambda ratios: sum(ratios) > 0)


def test_parts_that_share_nobody_are_proven() -> None:
    proof = prove_disjoint(
        [
            video("a", "train", people="xy", sources="s"),
            video("b", "train", people="xz", sources="s"),
            video("c", "test", people="w", sources="t"),
        ]
    )
    assert (proof.people, proof.sources) == (4, 2)


@pytest.mark.parametrize("kind", ["person", "source"])
def test_a_leak_is_named_with_both_files_and_both_parts(kind: str) -> None:
    first, second = ["joan"], ["joan", "mary"]
    videos = {
        "person": [video("first", "train", people=first), video("second", "test", people=second)],
        "source": [video("first", "train", sources=first), video("second", "test", sources=second)],
    }
    with pytest.raises(DataError) as refused:
        prove_disjoint(videos[kind])
    for word in ("first.mp4 (train)", "second.mp4 (test)", f"the {kind} joan"):
        assert word in str(refused.value)


def test_a_person_and_a_source_of_one_name_are_two_things() -> None:
    prove_disjoint([video("a", "train", people="x"), video("b", "test", sources="x")])


@given(datasets, shares, st.integers(0, 3))
def test_groups_are_never_divided(
    videos: list[LabelledVideo], ratios: tuple[float, float, float], seed: int
) -> None:
    assigned = assign_by_group(videos, ratios, seed)
    assert [each.id for each in assigned] == [each.id for each in videos]
    assert all(each.part is not None for each in assigned)
    prove_disjoint(assigned)
    for one, other in combinations(assigned, 2):
        if one.people & other.people or one.sources & other.sources:
            assert one.part == other.part


@given(datasets)
def test_groups_hold_every_video_once_and_share_nothing(videos: list[LabelledVideo]) -> None:
    found = groups(videos)
    assert sorted(v.id for group in found for v in group) == sorted(v.id for v in videos)
    for one, other in combinations(found, 2):
        assert not {n for v in one for n in v.people} & {n for v in other for n in v.people}


def test_a_chain_of_shared_people_is_one_group() -> None:
    chain = [video(f"{a}{b}", people={a, b}) for a, b in ("ab", "bc", "cd")]
    assert len(groups([*chain, video("x", people="x")])) == 2


def test_parts_have_their_shares_of_every_method() -> None:
    videos = [
        video(f"{label}{number}", label=label, people={f"{label}{number}"})
        for label, count in (("real", 80), ("fake", 400))
        for number in range(count)
    ]
    counts = Counter((each.part, each.label) for each in assign_by_group(videos, (6, 1, 1), 0))
    assert counts == {
        ("train", "real"): 60,
        ("validation", "real"): 10,
        ("test", "real"): 10,
        ("train", "fake"): 300,
        ("validation", "fake"): 50,
        ("test", "fake"): 50,
    }


def test_three_groups_make_three_parts_and_a_giant_trains() -> None:
    small = [video(name, people=name) for name in "abc"]
    assert set(parts(assign_by_group(small, (0.8, 0.1, 0.1), 0)).values()) == set(PARTS)
    giant = [video(f"g{number}", people=["giant"]) for number in range(50)]
    for seed in range(5):
        assigned = assign_by_group([*giant, *small], (0.6, 0.2, 0.2), seed)
        assert parts(assigned)["g0"] == "train"


def test_the_seed_alone_decides() -> None:
    videos = [video(f"v{number}", people={str(number)}) for number in range(40)]
    first = assign_by_group(videos, (2, 1, 1), 0)
    assert parts(assign_by_group(videos[::-1], (2, 1, 1), 0)) == parts(first)
    assert parts(assign_by_group(videos, (2, 1, 1), 1)) != parts(first)


@pytest.mark.parametrize(
    "ratios", [(0, 0, 0), (1, -1, 1), (1, 1), (float("nan"), 1, 1), (float("inf"), 1, 1)]
)
def test_ratios_that_are_none_are_refused(ratios: tuple[float, ...]) -> None:
    with pytest.raises(DataError, match="ratios"):
        assign_by_group([video("a")], ratios, 0)


def test_people_bring_their_videos_and_crossing_ones_stay_out() -> None:
    videos = [
        video("in", people="ab"),
        video("across", people="ac"),
        video("unknown", people="az"),
        video("there", people="c"),
    ]
    placed, left_out = place(videos, {"a": "train", "b": "train", "c": "test"}, "drop")
    assert parts(placed) == {"in": "train", "there": "test"}
    assert {file.location: file.reason for file in left_out} == {
        "across.mp4": "its people are in train and test",
        "unknown.mp4": "not in the split",
    }


def test_crossing_videos_can_be_refused() -> None:
    homes: dict[str, Part] = {"a": "train", "c": "test"}
    with pytest.raises(DataError, match=r"there\.mp4 \(test\) and across\.mp4 \(train\)"):
        place([video("across", people="ac"), video("there", people="c")], homes, "refuse")
    with pytest.raises(DataError, match=r"across\.mp4"):
        place([video("across", people="ac")], homes, "refuse")


def test_training_gives_way_to_validation_and_both_to_the_test() -> None:
    videos = [
        video("train", "train", people="a"),
        video("train_as_test", "train", people="b"),
        video("train_as_validation", "train", people="c"),
        video("validation", "validation", people="c"),
        video("validation_as_test", "validation", people="bd"),
        video("train_as_dropped", "train", people="d"),
        video("test", "test", people="b"),
    ]
    kept, left_out = give_way(videos, "drop")
    assert list(parts(kept)) == ["train", "validation", "train_as_dropped", "test"]
    assert names(left_out) == [
        "validation_as_test.mp4",
        "train_as_test.mp4",
        "train_as_validation.mp4",
    ]
    prove_disjoint(kept)
    with pytest.raises(DataError, match=r"train_as_validation.*validation.*the person c"):
        give_way(videos, "refuse")


@given(datasets, st.data())
def test_what_gave_way_is_disjoint(videos: list[LabelledVideo], data: st.DataObject) -> None:
    marked = [
        video(each.id, data.draw(st.sampled_from(PARTS)), people=each.people, sources=each.sources)
        for each in videos
    ]
    kept, left_out = give_way(marked, "drop")
    prove_disjoint(kept)
    assert len(kept) + len(left_out) == len(marked)
    assert {v.id for v in marked if v.part == "test"} <= {v.id for v in kept}


def test_a_part_without_a_class_is_refused() -> None:
    whole = [video(f"{p}{label}", p, label=label) for p in PARTS for label in ("real", "fake")]
    require_classes(whole)
    with pytest.raises(DataError, match="no real video in the part validation"):
        require_classes([v for v in whole if v.id != "validationreal"])
    with pytest.raises(DataError, match="no fake video in the part test"):
        require_classes([v for v in whole if v.id != "testfake"], PARTS)
