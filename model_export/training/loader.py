"""Which clips of a prepared dataset are trained on, and in which order.

Everything that is drawn follows from the seed, the number of the epoch and a clip's place in it,
never from a global generator: batches are the same whatever the number of workers, and an epoch
can be entered at any batch without reading what comes before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from zlib import crc32

import cv2
import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch.utils.data import DataLoader, Sampler

from model_export.data.prepared import PreparedDataset, PreparedVideo
from model_export.data.video import REAL, Part
from model_export.errors import DataError, TrainingError
from model_export.training.batch import Augment, Batch, BatchReader, Clip, Draw, Purpose
from model_export.training.interruption import fork_server, survive_once


class ClipSource:
    """The clips of one part of a prepared dataset, half forged, half real.

    ``videos`` says how many forged videos of each method to take (None: all). Which ones follows
    from the seed, the part and the method alone, and fewer are a part of more. Real videos are as
    many as forged ones: first their twins, then those of the same sources, then of the same people,
    and where these are not enough others, drawn by the seed. ``clips_per_video`` takes so many
    clips of each, the same in every epoch.

    An epoch holds every forged clip once (or ``samples_per_epoch`` / 2 of them, drawn anew) and as
    many real ones, drawn without repetition as long as there are enough. With ``twins`` the real
    ones are the forged clips' own twins, augmented alike; ``left_out`` are then the forged videos
    without twin. ``length`` is T: where less than was prepared, it starts at a random frame.

    Raises ``DataError`` naming method and part where there are too few videos, and where clips
    were prepared shorter than ``length``.
    """

    def __init__(
        self,
        dataset: PreparedDataset,
        part: Part,
        videos: Mapping[str, int | None],
        *,
        seed: int,
        length: int,
        twins: bool = False,
        clips_per_video: int | None = None,
        samples_per_epoch: int | None = None,
        augment: Augment | None = None,
        masks: bool = False,
    ) -> None:
        prepared = dataset.preparation.length
        if length > prepared:
            raise DataError(
                f"{dataset.folder} holds clips of {prepared} frames, {length} are needed: "
                f"prepare it again with length {length}"
            )
        if masks and not twins:
            raise TrainingError("masks need twins: they are the difference between the two")
        self._seed, self._part, self._twins, self._dataset = seed, part, twins, dataset
        self._clips_per_video = clips_per_video
        self.left_out: list[PreparedVideo] = []
        forged = [
            row for method, count in sorted(videos.items()) for row in self._choose(method, count)
        ]
        real = [] if twins else self._choose_real(forged)
        self.used: list[PreparedVideo] = [*forged, *real]
        self._forged, self._real = self._clips(forged), self._clips(real)
        self._pairs = len(self._forged)
        if samples_per_epoch is not None:
            self._pairs = min(self._pairs, max(1, samples_per_epoch // 2))
        self._reader = BatchReader(dataset, seed=seed, length=length, augment=augment, masks=masks)
        self._sampler = _Batches()
        self._loader: DataLoader[Batch] | None = None

    @property
    def samples(self) -> int:
        """Clips in an epoch, real and forged."""
        return 2 * self._pairs

    def batches(self, batch: int) -> int:
        """Batches of ``batch`` clips in an epoch; the last may be smaller."""
        return -(-self.samples // _even(batch))

    def epoch(
        self,
        number: int,
        batch: int,
        *,
        start_batch: int = 0,
        workers: int = 0,
        share: tuple[int, int] = (0, 1),
    ) -> Iterator[Batch]:
        """The batches of one epoch from ``start_batch`` on; ``batch`` counts clips and is even.

        With ``share`` (k, n) only every n-th batch from the k-th on, which ``start_batch`` then
        counts: so n processes share an epoch. Workers are processes of their own and stay for the
        next epoch. Epochs of one source must not be read at the same time. Raises ``DataError``
        naming a file that cannot be read.
        """
        size, draws = _even(batch), self._plan(number)
        batches = [tuple(draws[start : start + size]) for start in range(0, len(draws), size)]
        todo = batches[share[0] :: share[1]][start_batch:]
        if not workers:
            yield from map(self._reader.__getitem__, todo)
            return
        if self._loader is None or self._loader.num_workers != workers:
            self._loader = self._start(workers)
        self._sampler.batches = todo
        yield from self._loader

    def _start(self, workers: int) -> DataLoader[Batch]:
        return DataLoader(
            self._reader,
            batch_size=None,
            sampler=self._sampler,
            collate_fn=_as_it_is,
            num_workers=workers,
            worker_init_fn=_start_worker,
            multiprocessing_context=fork_server(BatchReader.__module__),
            persistent_workers=True,
            pin_memory=torch.cuda.is_available(),
        )

    def _plan(self, epoch: int) -> list[Draw]:
        """For each place of the epoch a forged clip and its real companion, in turn."""
        rng = np.random.default_rng([self._seed, Purpose.ORDER, epoch])
        forged = [self._forged[each] for each in rng.permutation(len(self._forged))[: self._pairs]]
        draws = []
        if self._twins:
            for key, clip in enumerate(forged):
                draws += [Draw(clip, "pixels", epoch, key), Draw(clip, "twin", epoch, key)]
            return draws
        rounds = -(-self._pairs // len(self._real))
        order = np.concatenate([rng.permutation(len(self._real)) for _ in range(rounds)])
        real = [self._real[each] for each in order[: self._pairs]]
        for key, (clip, companion) in enumerate(zip(forged, real, strict=True)):
            draws += [
                Draw(clip, "pixels", epoch, 2 * key),
                Draw(companion, "pixels", epoch, 2 * key + 1),
            ]
        return draws

    def _choose(self, method: str, count: int | None) -> list[PreparedVideo]:
        rows = self._shuffled(self._dataset.videos(self._part, [method]), method)
        if method == REAL:
            raise DataError(f"'{REAL}' is no forgery method: real videos come by themselves")
        if self._twins:
            paired = {row.video.id for row in rows if self._has_twin(row)}
            self.left_out += [row for row in rows if row.video.id not in paired]
            rows = [row for row in rows if row.video.id in paired]
        kind = f"{method} videos{' with a twin' if self._twins else ''}"
        if len(rows) < (count or 1):
            wanted = f", {count} are wanted" if count else ""
            raise DataError(
                f"{self._dataset.folder} holds {len(rows)} {kind} in its {self._part} part{wanted}"
            )
        return rows[:count]

    def _choose_real(self, forged: Sequence[PreparedVideo]) -> list[PreparedVideo]:
        rows = self._shuffled(self._dataset.videos(self._part, [REAL]), REAL)
        if not rows:
            raise DataError(
                f"{self._dataset.folder} holds no {REAL} videos in its {self._part} part"
            )
        twins = {row.video.twin for row in forged}
        sources = frozenset[str]().union(*(row.video.sources for row in forged))
        people = frozenset[str]().union(*(row.video.people for row in forged))
        rows.sort(
            key=lambda row: (
                row.video.id not in twins,
                row.video.sources.isdisjoint(sources),
                row.video.people.isdisjoint(people),
            )
        )
        return rows[: len(forged)]

    def _has_twin(self, row: PreparedVideo) -> bool:
        path = self._dataset.path(row.video.id)
        try:
            with safe_open(path, framework="numpy") as file:
                return "twin" in file.keys()  # noqa: SIM118
        except (OSError, SafetensorError) as error:
            raise DataError(f"{path} cannot be read: {error}") from error

    def _shuffled(self, rows: Sequence[PreparedVideo], method: str) -> list[PreparedVideo]:
        ordered = sorted(rows, key=lambda row: row.video.id)
        rng = self._chooser(f"{self._part} {method}")
        return [ordered[place] for place in rng.permutation(len(ordered))]

    def _clips(self, rows: Sequence[PreparedVideo]) -> list[Clip]:
        """Video and index of each clip."""
        most = self._clips_per_video
        clips: list[Clip] = []
        for row in rows:
            chosen = self._chooser(row.video.id).permutation(row.clips)[:most]
            clips += [(row.video.id, int(index)) for index in sorted(chosen)]
        return clips

    def _chooser(self, what: str) -> np.random.Generator:
        return np.random.default_rng([self._seed, Purpose.CHOICE, crc32(what.encode())])


class _Batches(Sampler[tuple[Draw, ...]]):
    """The batches of the epoch that comes next."""

    def __init__(self) -> None:
        self.batches: Sequence[tuple[Draw, ...]] = ()

    def __iter__(self) -> Iterator[tuple[Draw, ...]]:
        return iter(self.batches)


def _even(batch: int) -> int:
    if batch < 2 or batch % 2:
        raise TrainingError(f"a batch is half forged, half real: {batch} clips cannot be")
    return batch


def _as_it_is(batch: Any) -> Any:
    return batch


def _start_worker(worker: int) -> None:
    survive_once()
    cv2.setNumThreads(1)
