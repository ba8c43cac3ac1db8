"""A dataset of noise in which forged clips have a brighter patch, and runs of seconds on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from model_export.data.prepared import (
    Preparation,
    PreparedVideo,
    VideoClips,
    clips_path,
    write_clips,
    write_preparation,
    write_rows,
)
from model_export.data.video import PARTS, LabelledVideo
from model_export.training.config import RunConfig, parse_config

SIZE = 32
LENGTH = 3
CLIPS = 3

TINY_CLRNET = {
    "architecture": "clrnet",
    "options": {"initial_filters": 2, "repetitions": [1, 1], "dropout": 0.25},
    "size": SIZE,
    "length": 2,
}
TINY_MESO = {"architecture": "meso4", "size": SIZE}
"""The fastest with dropout and batch norms."""


def tiny_dataset(folder: Path, videos: int = 4, methods: tuple[str, ...] = ("DF",)) -> Path:
    """So many forged and as many real videos in each part; forged clips have twins."""
    (folder / "clips").mkdir(parents=True)
    rng = np.random.default_rng(0)
    rows = []
    for part in PARTS:
        for index in range(videos):
            real = f"{part}-real-{index}"
            pixels = rng.integers(60, 140, (CLIPS, LENGTH, SIZE, SIZE, 3)).astype(np.uint8)
            digest = write_clips(_clips(pixels, None), clips_path(folder, real))
            rows.append(_row(real, "real", part, None, digest))
            for method in methods:
                forged = pixels.copy()
                forged[:, :, 8:20, 8:20] += 90
                path = clips_path(folder, f"{part}-{method}-{index}")
                digest = write_clips(_clips(forged, pixels), path)
                rows.append(_row(f"{part}-{method}-{index}", method, part, real, digest))
    write_rows(rows, folder / "videos.csv")
    preparation = Preparation(LENGTH, SIZE, 1.3, "clip", "first", "drawn", "noise with patches")
    write_preparation(preparation, folder)
    return folder


def tiny_run(data: Path, **changes: Any) -> RunConfig:
    """A run of a Meso4 for two epochs of three steps; keys of ``changes`` have ``__`` for a dot."""
    values: dict[str, Any] = {
        "name": "tiny",
        "model": dict(TINY_MESO),
        "data": {"folder": str(data), "videos": {"DF": None}},
        "optimiser": {"rate": 1e-2},
        "schedule": {"epochs": 2, "batch": 8},
    }
    for key, value in changes.items():
        *tables, last = key.split("__")
        place = values
        for table in tables:
            place = place.setdefault(table, {})
        place[last] = value
    return parse_config(values, "the test")


def _row(name: str, method: str, part: Any, twin: str | None, digest: str) -> PreparedVideo:
    video = LabelledVideo(
        id=name,
        location=f"{name}.mp4",
        label="real" if method == "real" else "fake",
        method=method,
        part=part,
        people=frozenset({name}),
        sources=frozenset({name}),
        twin=twin,
    )
    return PreparedVideo(video, "ok", "", CLIPS, 9, 0.1, digest)


def _clips(pixels: Any, twin: Any) -> VideoClips:
    count = len(pixels)
    first = np.arange(count, dtype=np.int32)
    return VideoClips(
        pixels=pixels,
        track=np.zeros(count, np.int32),
        first_frame=first,
        last_frame=first + LENGTH - 1,
        start=first.astype(np.float64),
        end=first.astype(np.float64) + 0.1,
        boxes=np.zeros((count, LENGTH, 4), np.float32),
        twin=twin,
    )
