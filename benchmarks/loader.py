"""How fast batches are made, beside a training step that uses them.

    python -m benchmarks.loader WORK [--size 128] [--length 5] [--batch 16] [--workers 0]

Makes a prepared dataset of noise in WORK. Then in turn, again and again: one batch is made, twins
and the papers' augmentation included, and one step of a small CLRNet is done on it. The figures are
medians, in seconds of processor time of the one thread that does both; with workers or a GPU, in
seconds by the clock, and making a batch then means waiting for one.
"""

from __future__ import annotations

import argparse
import time
from functools import partial
from pathlib import Path
from statistics import median

import cv2
import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from benchmarks.machine import machine
from model_export.clrnet import CLRNet
from model_export.data.prepared import (
    Preparation,
    PreparedDataset,
    PreparedVideo,
    VideoClips,
    clips_path,
    write_clips,
    write_preparation,
    write_rows,
)
from model_export.data.video import Label, LabelledVideo
from model_export.training.augmentation import AugmentationConfig, augment
from model_export.training.batch import Batch
from model_export.training.loader import ClipSource

VIDEOS, CLIPS = 8, 16


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", type=Path, help="folder for the dataset; may be deleted afterwards")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--length", type=int, default=5)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--filters", type=int, default=8, help="width of the CLRNet")
    given = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    clock = time.perf_counter if given.workers or device == "cuda" else time.process_time
    console = Console(highlight=False)
    console.print(machine() + (f", {torch.cuda.get_device_name()}" if device == "cuda" else ""))
    source = ClipSource(
        PreparedDataset(noise(given.work, given.length, given.size)),
        "train",
        {"DF": None},
        seed=0,
        length=given.length,
        twins=True,
        augment=partial(augment, config=AugmentationConfig()),
    )
    model = CLRNet(given.filters, (1, 1, 1, 1)).to(device)
    making: list[float] = []
    stepping: list[float] = []
    while len(making) <= given.steps:
        batches = source.epoch(len(making), given.batch, workers=given.workers)
        while True:
            began = clock()
            batch = next(batches, None)
            if batch is None or len(batch) < given.batch:
                break
            made = clock()
            step(model, batch.to(device))
            stepping.append(clock() - made)
            making.append(made - began)
    # The first of each loads libraries and starts workers.
    load, work = median(making[1:]), median(stepping[1:])
    share = median(a / (a + b) for a, b in zip(making[1:], stepping[1:], strict=True))
    table = Table("clips", "workers", "batches/s", "steps/s", "loader's share of a step")
    size = f"{given.batch} x {given.length} x {given.size}²"
    table.add_row(size, str(given.workers), f"{1 / load:.1f}", f"{1 / work:.2f}", f"{share:.1%}")
    console.print(table)


def step(model: CLRNet, batch: Batch) -> None:
    """Forwards, backwards, and nothing updated."""
    model.zero_grad()
    loss = model.loss(batch.clips.float() / 255, batch.fake)
    loss.backward()  # type: ignore[no-untyped-call]
    if batch.clips.is_cuda:
        torch.cuda.synchronize()


def noise(folder: Path, length: int, size: int) -> Path:
    """A prepared folder of random pixels, videos with twins."""
    (folder / "clips").mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    kinds: tuple[tuple[Label, str], ...] = (("real", "real"), ("fake", "DF"))
    rows = []
    for number in range(VIDEOS):
        for label, method in kinds:
            name, own = f"{method}{number}", frozenset({str(number)})
            twin = f"real{number}" if label == "fake" else None
            video = LabelledVideo(name, name, label, method, "train", own, own, twin)
            pixels, other = rng.integers(
                256, size=(2, CLIPS, length, size, size, 3), dtype=np.uint8
            )
            steps = np.arange(CLIPS, dtype=np.int32)
            clips = VideoClips(
                pixels=pixels,
                track=np.zeros(CLIPS, np.int32),
                first_frame=steps,
                last_frame=steps,
                start=steps / 1.0,
                end=steps / 1.0,
                boxes=np.zeros((CLIPS, length, 4), np.float32),
                twin=other if twin else None,
            )
            write_clips(clips, clips_path(folder, name))
            rows.append(PreparedVideo(video, "ok", "", CLIPS, CLIPS * length, 0.0))
    write_rows(rows, folder / "videos.csv")
    preparation = Preparation(length, size, 1.3, "per_frame", "paper", "none", "noise")
    write_preparation(preparation, folder)
    return folder


if __name__ == "__main__":
    main()
