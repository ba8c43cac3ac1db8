"""The clips of a run: what it trains on, and what it is validated on."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial

from model_export.data.prepared import PreparedDataset
from model_export.errors import DataError, TrainingError
from model_export.networks import NETWORKS
from model_export.training.augmentation import augment
from model_export.training.batch import Batch
from model_export.training.config import RunConfig
from model_export.training.initial import initial_sha256
from model_export.training.loader import ClipSource
from model_export.training.run_folder import RunRecord

VALIDATION_SEED = 0
"""Runs of every seed are validated on the same clips."""


@dataclass(frozen=True, slots=True)
class Sources:
    """``length`` is T; ``batches`` those of this process in an epoch, ``steps`` the optimiser's."""

    config: RunConfig
    training: ClipSource
    validation: ClipSource
    record: RunRecord
    length: int
    batches: int
    steps: int
    rank: int

    def epoch(self, number: int, start: int) -> Iterator[Batch]:
        """This process' batches of epoch ``number`` from ``start`` on."""
        share = (self.rank, self.record.devices)
        size, workers = self.config.schedule.batch, self.config.workers
        return self.training.epoch(number, size, start_batch=start, workers=workers, share=share)

    def held_out(self) -> Iterator[Batch]:
        """The same batches whenever it is asked."""
        config = self.config
        return self.validation.epoch(0, config.schedule.batch, workers=config.workers)

    def __str__(self) -> str:
        used = ", ".join(f"{method} {count}" for method, count in self.record.videos.items())
        alone = len(self.training.left_out)
        left_out = f"; {alone} forged videos without a twin are left out" if alone else ""
        return (
            f"training on {self.training.samples} clips an epoch (videos: {used}), validated on "
            f"{self.validation.samples}{left_out}"
        )


def open_sources(config: RunConfig, rank: int, devices: int) -> Sources:
    """Open the dataset of a run. Raises ``DataError`` and ``TrainingError`` where it does not do.

    Validation takes all videos of the same methods, as many real ones, no augmentation.
    """
    dataset = PreparedDataset(config.data.folder)
    prepared = dataset.preparation
    if prepared.size != config.model.size:
        raise DataError(
            f"{config.data.folder} holds clips of {prepared.size} pixels, model.size is "
            f"{config.model.size}: prepare them at that size, or change the run's"
        )
    length = config.model.length or _published_length(config.model.architecture)
    training = ClipSource(
        dataset,
        "train",
        config.data.videos,
        seed=config.seed,
        length=length,
        twins=config.data.twins,
        clips_per_video=config.data.clips_per_video,
        samples_per_epoch=config.schedule.samples_per_epoch,
        augment=partial(augment, config=config.augmentation),
        masks=config.mask_weight > 0,
    )
    validation = ClipSource(
        dataset,
        "validation",
        dict.fromkeys(config.data.videos),
        seed=VALIDATION_SEED,
        length=length,
        samples_per_epoch=config.schedule.validation_clips,
    )
    batches = training.batches(config.schedule.batch)
    if batches < devices:
        raise TrainingError(f"an epoch has {batches} batches, too few for {devices} devices")
    if devices > 1:
        batches //= devices  # Every device takes as many; what is over is left out.
    used = [(row.video.id, row.sha256) for row in (*training.used, *validation.used)]
    identity = json.dumps([asdict(prepared), used])
    record = RunRecord(
        config=config,
        preparation=prepared,
        videos=dict(sorted(Counter(row.video.method for row in training.used).items())),
        clips=training.samples,
        data_sha256=hashlib.sha256(identity.encode()).hexdigest(),
        init_sha256=initial_sha256(config),
        devices=devices,
    )
    steps = -(-batches // config.schedule.accumulate)
    return Sources(config, training, validation, record, length, batches, steps, rank)


def _published_length(architecture: str) -> int:
    if architecture not in NETWORKS:
        known = ", ".join(NETWORKS)
        raise TrainingError(f"there is no network '{architecture}'; there are {known}")
    return NETWORKS[architecture].detector.clip_length
