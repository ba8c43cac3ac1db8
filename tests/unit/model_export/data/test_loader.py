"""Batches that follow from seed, epoch and place alone, and hold what they should."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from model_export.data.prepared import (
    Image,
    PreparedDataset,
    clips_path,
    read_clips,
    write_clips,
    write_rows,
)
from model_export.errors import DataError, TrainingError
from model_export.training.batch import Batch
from model_export.training.loader import ClipSource
from tests.unit.model_export.data import film

VIDEOS = {"real": 12, "DF": 7, "FS": 7}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> PreparedDataset:
    """4 clips a video; see ``film.prepared`` for what their pixels tell."""
    return PreparedDataset(film.prepared(tmp_path_factory.mktemp("data") / "prepared", VIDEOS))


def source(dataset: PreparedDataset, **options: object) -> ClipSource:
    given = {"videos": {"DF": None, "FS": None}, "seed": 3, "length": 5, **options}
    return ClipSource(dataset, "train", **given)  # type: ignore[arg-type]


def brighter(pixels: Image, *, rng: np.random.Generator) -> Image:
    """An augmentation that tells what its generator drew: it is added to blue, which ends below
    200 before."""
    changed = pixels.copy()
    changed[..., 2] += rng.integers(10, 200, dtype=np.uint8)
    return changed


def everything(batches: Iterable[Batch]) -> list[tuple[bytes, bytes, tuple[str, ...]]]:
    """Batches as what can be compared for equality."""
    return [
        (batch.clips.numpy().tobytes(), batch.fake.numpy().tobytes(), batch.videos)
        for batch in batches
    ]


def clips_of(batches: Iterable[Batch]) -> list[tuple[bool, int, int, int]]:
    """Of each clip: whether it is forged, and its red, green and first blue."""
    return [
        (bool(fake), *(int(value) for value in clip[0, :, 0, 0]))
        for batch in batches
        for fake, clip in zip(batch.fake, batch.clips, strict=True)
    ]


def test_a_batch_holds_what_the_prepared_folder_does(dataset: PreparedDataset) -> None:
    batch = next(source(dataset).epoch(0, 6))
    assert (batch.clips.dtype, batch.clips.shape) == (torch.uint8, (6, 5, 3, 16, 16))
    assert batch.clips.is_contiguous()
    assert batch.fake.tolist() == [1.0, 0.0, 1.0, 0.0, 1.0, 0.0]
    assert batch.mask is None
    for clip, video in zip(batch.clips, batch.videos, strict=True):
        stored = dataset.load(video).pixels[int(clip[0, 1, 0, 0])]
        np.testing.assert_array_equal(clip.permute(0, 2, 3, 1), stored)


def test_an_epoch_holds_each_forged_clip_once_and_as_many_different_real_ones(
    dataset: PreparedDataset,
) -> None:
    loader = source(dataset)
    assert loader.samples == 2 * 4 * (7 + 7)
    batches = list(loader.epoch(0, 32))
    assert [len(batch) for batch in batches] == [32, 32, 32, 16]
    assert loader.batches(32) == 4
    assert all(batch.fake.mean() == 0.5 for batch in batches)
    seen = [(video, clip[2]) for batch in batches
            for video, clip in zip(batch.videos, clips_of([batch]), strict=True)]  # fmt: skip
    forged = [each for each in seen if not each[0].startswith("real")]
    real = [each for each in seen if each[0].startswith("real")]
    assert sorted(forged) == sorted(
        (f"{method}{number:03d}", index)
        for method in ("DF", "FS")
        for number in range(VIDEOS[method])
        for index in range(4)
    )
    # 14 forged videos for 12 real ones: 48 real clips for 56 places.
    assert len(real) == 56
    assert Counter(Counter(real).values()) == {1: 40, 2: 8}
    few = [v for batch in source(dataset, videos={"DF": 5}).epoch(0, 8) for v in batch.videos[1::2]]
    assert max(Counter(few).values()) == 4, "enough real clips: none comes twice"


def test_the_same_seed_gives_the_same_epoch_and_every_epoch_another_order(
    dataset: PreparedDataset,
) -> None:
    first = everything(source(dataset, augment=brighter).epoch(1, 8))
    np.random.seed(77)
    torch.manual_seed(77)
    assert everything(source(dataset, augment=brighter).epoch(1, 8)) == first
    reordered = source(dataset, augment=brighter, videos={"FS": None, "DF": None})
    assert everything(reordered.epoch(1, 8)) == first
    assert everything(source(dataset, augment=brighter).epoch(2, 8)) != first
    loader = source(dataset, augment=brighter)
    drawn = [[clip[3] for clip in clips_of(loader.epoch(number, 8))] for number in range(2)]
    assert drawn[0] != drawn[1], "a place of the epoch is augmented otherwise in the next"
    assert everything(source(dataset, augment=brighter, seed=4).epoch(1, 8)) != first


def test_workers_and_resuming_change_nothing(dataset: PreparedDataset) -> None:
    alone = everything(source(dataset, augment=brighter).epoch(2, 10))
    assert len(alone) == 12
    loader = source(dataset, augment=brighter)
    assert everything(loader.epoch(2, 10, start_batch=5)) == alone[5:]
    left = loader.epoch(1, 10, workers=2)
    next(left)
    left.close()  # type: ignore[attr-defined]
    assert everything(loader.epoch(2, 10, workers=2)) == alone
    assert everything(loader.epoch(2, 10, start_batch=7, workers=2)) == alone[7:]
    assert everything(source(dataset, augment=brighter).epoch(2, 10, workers=1)) == alone


def test_shares_of_an_epoch_make_the_whole(dataset: PreparedDataset) -> None:
    loader = source(dataset, augment=brighter)
    alone = everything(loader.epoch(0, 10))
    shares = [everything(loader.epoch(0, 10, share=(k, 2))) for k in range(2)]
    assert [shares[place % 2][place // 2] for place in range(len(alone))] == alone
    assert everything(loader.epoch(0, 10, share=(1, 2), start_batch=2)) == shares[1][2:]


def test_resuming_reads_nothing_that_is_skipped(
    dataset: PreparedDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[tuple[str, int]] = []
    clip = PreparedDataset.clip

    def watched(self: PreparedDataset, video: str, index: int, array: str = "pixels") -> Image:
        read.append((video, index))
        return clip(self, video, index, array)  # type: ignore[arg-type]

    monkeypatch.setattr(PreparedDataset, "clip", watched)
    batches = list(source(dataset).epoch(0, 10, start_batch=10))
    assert len(read) == sum(len(batch) for batch in batches) == 112 - 100


def test_twins_are_the_same_frames_augmented_alike(dataset: PreparedDataset) -> None:
    loader = source(dataset, twins=True, augment=brighter, length=2)
    clips = clips_of(loader.epoch(0, 16))
    assert len(clips) == 112
    for forged, twin in zip(clips[::2], clips[1::2], strict=True):
        assert (forged[0], twin[0]) == (True, False)
        assert twin[1:] == (forged[1] - 100, forged[2], forged[3])
    assert len({clip[3] for clip in clips}) > 30, "each pair is augmented in its own way"
    drawn = clips_of(source(dataset, augment=brighter).epoch(0, 16))
    assert sum(a[3] == b[3] for a, b in zip(drawn[::2], drawn[1::2], strict=True)) < 5


def test_short_clips_start_at_any_frame(dataset: PreparedDataset) -> None:
    batches = list(source(dataset, length=1).epoch(0, 28))
    assert batches[0].clips.shape == (28, 1, 3, 16, 16)
    starts = Counter(clip[3] for clip in clips_of(batches))
    assert sorted(starts) == [0, 1, 2, 3, 4]
    assert min(starts.values()) > 10
    consecutive = next(source(dataset, length=3).epoch(0, 28)).clips[:, :, 2, 0, 0].int()
    assert (consecutive.diff(dim=1) == 1).all()
    assert consecutive[:, 0].unique().tolist() == [0, 1, 2]
    with pytest.raises(DataError, match="clips of 5 frames, 20 are needed"):
        source(dataset, length=20)


def videos_of(loader: ClipSource, method: str) -> set[str]:
    return {row.video.id for row in loader.used if row.video.method == method}


def test_few_videos_are_chosen_by_seed_whatever_else_is(dataset: PreparedDataset) -> None:
    few = source(dataset, videos={"DF": 3})
    chosen = videos_of(few, "DF")
    assert len(chosen) == 3
    assert few.samples == 2 * 3 * 4
    both = source(
        dataset, videos={"DF": 3, "FS": 2}, twins=True, clips_per_video=1, augment=brighter
    )
    assert videos_of(both, "DF") == chosen
    assert len(videos_of(both, "FS")) == 2
    assert chosen < videos_of(source(dataset, videos={"DF": 5}), "DF"), "fewer are a part of more"
    others = [videos_of(source(dataset, videos={"DF": 3}, seed=s), "DF") for s in range(5)]
    assert any(other != chosen for other in others)
    numbers = {
        method: {name[-3:] for name in videos_of(source(dataset, videos={method: 3}), method)}
        for method in ("DF", "FS")
    }
    assert numbers["DF"] != numbers["FS"], "methods are drawn independently"


def test_real_videos_are_those_the_forged_ones_were_made_from(
    dataset: PreparedDataset, tmp_path: Path
) -> None:
    loader = source(dataset, videos={"DF": 3})
    origins = {row.video.twin for row in loader.used if row.video.method == "DF"}
    assert videos_of(loader, "real") == origins
    unknown = PreparedDataset(film.prepared(tmp_path / "unknown", VIDEOS, twins=False))
    drawn = [videos_of(source(unknown, videos={"DF": 3}, seed=seed), "real") for seed in (1, 1, 2)]
    assert [len(each) for each in drawn] == [3, 3, 3]
    assert drawn[0] == drawn[1] != drawn[2]
    for field in ("sources", "people"):
        table = unknown.folder / "videos.csv"
        own = {row: frozenset({f"real{row.video.id[-3:]}"}) for row in unknown.rows}
        write_rows(
            [replace(row, video=replace(row.video, **{field: own[row]})) for row in unknown.rows],
            table,
        )
        loader = source(PreparedDataset(unknown.folder), videos={"DF": 3})
        assert videos_of(loader, "real") == {f"real{name[-3:]}" for name in videos_of(loader, "DF")}


def test_a_subset_of_an_epoch_and_of_a_video(dataset: PreparedDataset) -> None:
    some = source(dataset, samples_per_epoch=20)
    assert some.samples == 20
    epochs = [clips_of(some.epoch(number, 20)) for number in range(3)]
    assert [len(epoch) for epoch in epochs] == [20, 20, 20]
    assert len({tuple(epoch) for epoch in epochs}) == 3
    assert source(dataset, samples_per_epoch=1000).samples == 112
    one = source(dataset, clips_per_video=1)
    assert one.samples == 28
    taken = [{each for each in clips_of(one.epoch(number, 4)) if each[0]} for number in range(2)]
    assert taken[0] == taken[1], "a video's clips are chosen once"


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"videos": {"NT": None}}, "0 NT videos in its train part"),
        ({"videos": {"DF": 8}}, "7 DF videos in its train part, 8 are wanted"),
        ({"videos": {"real": 2}}, "'real' is no forgery method"),
    ],
)
def test_missing_videos_are_named(
    options: dict[str, object], word: str, dataset: PreparedDataset
) -> None:
    with pytest.raises(DataError, match=word):
        source(dataset, **options)


def test_one_kind_alone_is_refused(tmp_path: Path) -> None:
    fakes = PreparedDataset(film.prepared(tmp_path / "fakes", {"DF": 2}, twins=False))
    with pytest.raises(DataError, match="no real videos in its train part"):
        source(fakes, videos={"DF": None})
    with pytest.raises(DataError, match="0 DF videos with a twin in its train part"):
        source(fakes, videos={"DF": None}, twins=True)
    with pytest.raises(DataError, match="0 DF videos in its test part"):
        ClipSource(fakes, "test", {"DF": None}, seed=0, length=5)


def test_videos_without_a_twin_are_left_out_and_named(tmp_path: Path) -> None:
    folder = film.prepared(tmp_path / "some", {"real": 3, "DF": 3})
    spare = film.prepared(tmp_path / "without", {"DF": 3}, twins=False)
    (spare / "clips/DF001.safetensors").replace(folder / "clips/DF001.safetensors")
    loader = source(PreparedDataset(folder), videos={"DF": None}, twins=True)
    assert [row.video.id for row in loader.left_out] == ["DF001"]
    assert videos_of(loader, "DF") == {"DF000", "DF002"}
    assert source(PreparedDataset(folder), videos={"DF": None}).left_out == []


def test_odd_batches_and_masks_without_twins_are_refused(dataset: PreparedDataset) -> None:
    for batch in (0, 1, 7):
        with pytest.raises(TrainingError, match="half forged, half real"):
            next(source(dataset).epoch(0, batch))
    with pytest.raises(TrainingError, match="masks need twins"):
        source(dataset, masks=True)


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    folder = film.prepared(tmp_path / "damaged", {"real": 1, "DF": 1})
    (folder / "clips/DF000.safetensors").write_bytes(b"\x08" + bytes(40))
    with pytest.raises(DataError, match=r"DF000\.safetensors cannot be read"):
        list(source(PreparedDataset(folder), videos={"DF": None}).epoch(0, 2))
    with pytest.raises(DataError, match=r"DF000\.safetensors cannot be read"):
        source(PreparedDataset(folder), videos={"DF": None}, twins=True)


def test_masks_come_with_the_batch_and_are_empty_for_real_clips(dataset: PreparedDataset) -> None:
    batch = next(source(dataset, twins=True, masks=True, length=2).epoch(0, 6))
    assert batch.mask is not None
    assert (batch.mask.dtype, batch.mask.shape) == (torch.float32, (6, 2, 4, 4))
    # All of a made forgery's red differs from its twin's, a third of 100 over the colours.
    assert (batch.mask[::2] == 1).all()
    assert (batch.mask[1::2] == 0).all()


def test_a_mask_shows_the_frame_and_the_place_that_were_forged(tmp_path: Path) -> None:
    folder = film.prepared(tmp_path / "some", {"real": 1, "DF": 1}, clips=1, size=64)
    path = clips_path(folder, "DF000")
    clips = read_clips(path)
    assert clips.twin is not None
    clips.pixels[:] = clips.twin
    clips.pixels[0, 3, 8:24, 40:60] += 90  # rows and columns that no turned mask has
    write_clips(clips, path)
    loader = source(PreparedDataset(folder), videos={"DF": None}, twins=True, masks=True)
    (batch,) = loader.epoch(0, 2)
    assert batch.mask is not None
    assert batch.mask.shape == (2, 5, 16, 16)
    inside = batch.mask[0, 3, 3:5, 11:14]
    assert (inside == 1).all()
    batch.mask[0, 3, 0:8, 8:16] = 0
    assert not batch.mask.any(), "elsewhere, in other frames and in the twin nothing is forged"
