"""The two runs of the model in the box: ``frames.toml``, then ``clips.toml``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from model_export.data.prepared import PreparedDataset
from model_export.training.config import InitConfig, RunConfig, load_config

HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Effort:
    """``frames`` and ``clips`` are samples to train on, real and forged; ``filters`` is the width
    of the first stage of the network."""

    frames: int = 180_000
    clips: int = 14_000
    filters: int = 16


def frames_run(dataset: PreparedDataset, effort: Effort, seed: int) -> RunConfig:
    """Single frames from random weights."""
    return _filled("frames", dataset, effort.frames, effort.filters, seed, InitConfig())


def clips_run(dataset: PreparedDataset, effort: Effort, seed: int, frames: Path) -> RunConfig:
    """Clips of five frames from what the run in ``frames`` gave."""
    start = InitConfig(weights=frames, inflate=True)
    return _filled("clips", dataset, effort.clips, effort.filters, seed, start)


def _filled(
    name: str, dataset: PreparedDataset, samples: int, filters: int, seed: int, init: InitConfig
) -> RunConfig:
    config = load_config(HERE / f"{name}.toml")
    model, schedule = config.model, config.schedule
    there = 2 * sum(row.clips for row in dataset.videos("train", list(config.data.videos)))
    epoch = min(samples, there, schedule.samples_per_epoch or there)
    changes = {"epochs": max(1, round(samples / max(1, epoch))), "samples_per_epoch": epoch}
    return config.model_copy(
        update={
            "seed": seed,
            "model": model.model_copy(
                update={"options": {**model.options, "initial_filters": filters}}
            ),
            "data": config.data.model_copy(update={"folder": dataset.folder}),
            "init": init,
            "schedule": schedule.model_copy(update=changes),
        }
    )
