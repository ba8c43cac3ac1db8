"""Which clips are shown: reproducible, of every method, and the worst mistakes where scored."""

from __future__ import annotations

import numpy as np
import pytest

from model_export.data.prepared import PreparedDataset
from model_export.errors import DataError, EvaluationError
from model_export.explain.choice import ChosenClip, Selection, drawn_clips, worst_clips
from service.measures.table import ScoreTable

from .conftest import VIDEOS

Row = tuple[str, int, float]


def names(clips: list[ChosenClip]) -> list[str]:
    return [clip.video.id for clip in clips]


def key(clip: ChosenClip) -> tuple[str, float]:
    return clip.video.id, clip.start


def scores(*rows: Row) -> ScoreTable:
    """A table of (video, first frame, P(fake))."""
    by_id = {video.id: video for video in VIDEOS}
    return ScoreTable.of(
        [
            (
                *(video, "somebody", by_id[video].method, by_id[video].label, "test"),
                *(1, first, first + 4, first / 25, (first + 5) / 25, score),
            )
            for video, first, score in rows
        ]
    )


def test_every_method_gives_its_count_and_real_comes_first(dataset: PreparedDataset) -> None:
    clips = drawn_clips(dataset, Selection(count=2))
    assert [clip.video.method for clip in clips] == ["real"] * 2 + ["DF"] * 2 + ["NT"] * 2
    assert len(set(map(key, clips))) == 6


def test_different_videos_before_a_second_clip_of_one(dataset: PreparedDataset) -> None:
    for seed in range(5):
        clips = drawn_clips(dataset, Selection(methods=("real",), count=3, seed=seed))
        assert names(clips) == ["r1", "r2", "r3"]
    everything = drawn_clips(dataset, Selection(methods=("real",), count=100))
    assert names(everything) == ["r1"] * 3 + ["r2"] * 3 + ["r3"] * 3


def test_a_clip_is_what_the_dataset_holds(dataset: PreparedDataset) -> None:
    for clip in drawn_clips(dataset, Selection(count=100)):
        stored = dataset.load(clip.video.id)
        index = int(np.flatnonzero(stored.start == clip.start)[0])
        assert np.array_equal(clip.pixels, stored.pixels[index])
        assert (clip.twin is None) == (clip.video.id != "d2")
        if clip.twin is not None and stored.twin is not None:
            assert np.array_equal(clip.twin, stored.twin[index])


def test_the_seed_alone_decides_what_is_drawn_of_a_method(dataset: PreparedDataset) -> None:
    def drawn(seed: int, *methods: str) -> list[tuple[str, float]]:
        return [
            key(clip)
            for clip in drawn_clips(dataset, Selection(methods=methods, count=1, seed=seed))
            if clip.video.method == "DF"
        ]

    assert drawn(0, "DF") == drawn(0, "DF") == drawn(0, "NT", "DF")
    assert len({tuple(drawn(seed, "DF")) for seed in range(8)}) > 2


def test_one_part(dataset: PreparedDataset) -> None:
    clips = drawn_clips(dataset, Selection(part="train", count=9))
    assert set(names(clips)) == {"r1", "d1"}


def test_named_videos_in_the_order_they_are_named(dataset: PreparedDataset) -> None:
    clips = drawn_clips(dataset, Selection(part="train", videos=("n1", "d2", "n1"), count=1))
    assert names(clips) == ["n1", "d2"]


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        (Selection(methods=("DF", "FS")), "has no clips of FS$"),
        (Selection(methods=("NT",), part="train"), "no clips of NT in its train part"),
        (Selection(part="validation"), "no clips of real, DF, NT in its validation part"),
        (Selection(videos=("d2", "who")), "has no video who"),
        (Selection(videos=("lost",)), "lost has no clips: nobody in lost.mp4"),
    ],
)
def test_what_is_not_there_is_named(
    dataset: PreparedDataset, selection: Selection, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        drawn_clips(dataset, selection)


def test_the_worst_of_each_method(dataset: PreparedDataset) -> None:
    table = scores(
        *[("r2", 0, 0.1), ("r2", 10, 0.9), ("r3", 0, 0.95), ("r3", 20, 0.4)],
        *[("d2", 0, 0.99), ("d2", 10, 0.2), ("d2", 20, 0.7), ("n1", 0, 0.6)],
    )
    clips = worst_clips(dataset, Selection(count=2), table)
    assert [(*key(clip), clip.score) for clip in clips] == [
        *[("r3", 0.0, 0.95), ("r2", 0.4, 0.9), ("d2", 0.4, 0.2), ("d2", 0.8, 0.7)],
        ("n1", 0.0, 0.6),
    ]
    assert np.array_equal(clips[1].pixels, dataset.clip("r2", 1))
    assert [clip.mistake for clip in clips] == pytest.approx([0.95, 0.9, 0.8, 0.3, 0.4])


def test_scores_of_other_clips_are_refused(dataset: PreparedDataset) -> None:
    with pytest.raises(EvaluationError, match="clip of d2 from frame 7 on, of face 1"):
        worst_clips(dataset, Selection(), scores(("d2", 7, 0.5)))
    with pytest.raises(EvaluationError, match="no scores of the clips asked for"):
        worst_clips(dataset, Selection(methods=("NT",)), scores(("d2", 0, 0.5)))


def test_a_caption_says_what_the_clip_is(dataset: PreparedDataset) -> None:
    real, forged = drawn_clips(dataset, Selection(videos=("r2", "d2"), count=1))
    assert real.caption == f"r2\nreal, at {real.start:.1f} s"
    assert forged.caption == f"d2\nDF, fake, at {forged.start:.1f} s"
    (scored,) = worst_clips(dataset, Selection(videos=("n1",)), scores(("n1", 10, 0.123)))
    assert scored.caption == "n1\nNT, fake, at 0.4 s\nP(fake) 0.12"
