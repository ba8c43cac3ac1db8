"""A tiny prepared dataset, and a network that is small enough to be exported in a test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from model_export.clrnet import CLRNet
from model_export.data.prepared import (
    Preparation,
    PreparedDataset,
    PreparedVideo,
    VideoClips,
    write_clips,
    write_preparation,
    write_rows,
)
from model_export.data.video import LabelledVideo, Part
from model_export.explain.model import NetworkScorer, OpenModel
from model_export.onnx_export import Scaling, ScoredClips
from service.clips import ClipSpec

SIZE = 48
LENGTH = 5
CLIPS = 3
PREPARATION = Preparation(LENGTH, SIZE, 1.3, "per_frame", "full", "mtcnn", "noise")


def labelled(name: str, method: str, part: Part, twin: str | None = None) -> LabelledVideo:
    """A video of one person."""
    who = frozenset([name])
    label = "real" if method == "real" else "fake"
    return LabelledVideo(name, f"{name}.mp4", label, method, part, who, who, twin)


def video_clips(seed: int, *, twin: bool = False) -> VideoClips:
    """Clips of smooth noise that differ from each other in every frame."""
    rng = np.random.default_rng(seed)

    def pixels() -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
        coarse = rng.integers(0, 256, (CLIPS, LENGTH, 6, 6, 3), dtype=np.uint8)
        return coarse.repeat(SIZE // 6, axis=2).repeat(SIZE // 6, axis=3)

    first = np.arange(CLIPS, dtype=np.int32) * 10
    return VideoClips(
        pixels=pixels(),
        track=np.ones(CLIPS, np.int32),
        first_frame=first,
        last_frame=first + LENGTH - 1,
        start=first / 25,
        end=(first + LENGTH) / 25,
        boxes=np.zeros((CLIPS, LENGTH, 4), np.float32),
        twin=pixels() if twin else None,
    )


VIDEOS = (
    labelled("r1", "real", "train"),
    labelled("r2", "real", "test"),
    labelled("r3", "real", "test"),
    labelled("d1", "DF", "train"),
    labelled("d2", "DF", "test", twin="r2"),
    labelled("n1", "NT", "test"),
)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Networks this small lose more than they gain by several."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def dataset(tmp_path: Path) -> PreparedDataset:
    """``VIDEOS`` with three clips each, and a video in which nobody was found."""
    folder = tmp_path / "prepared"
    (folder / "clips").mkdir(parents=True)
    rows = []
    for seed, video in enumerate(VIDEOS):
        clips = video_clips(seed, twin=video.twin is not None)
        write_clips(clips, folder / "clips" / f"{video.id}.safetensors")
        rows.append(PreparedVideo(video, "ok", "", CLIPS, 40, 0.1))
    lost = labelled("lost", "DF", "test")
    rows.append(PreparedVideo(lost, "no_face", "nobody in lost.mp4", 0, 40, 0.1))
    write_rows(rows, folder / "videos.csv")
    write_preparation(Preparation(LENGTH, SIZE, 1.3, "per_frame", "full", "mtcnn", "noise"), folder)
    return PreparedDataset(folder)


def network(repetitions: tuple[int, ...] = (1,)) -> CLRNet:
    """A CLRNet whose statistics are not trivial."""
    torch.manual_seed(0)
    model = CLRNet(4, repetitions)
    with torch.no_grad():
        model.train()(torch.rand(4, 2, 3, SIZE, SIZE))
    return model.eval()


def opened(
    model: CLRNet, *, length: int = LENGTH, size: int = SIZE, scaling: Scaling | None = None
) -> OpenModel:
    """The network as a run's folder would give it."""
    scorer = NetworkScorer(ScoredClips(model, scaling or Scaling()))
    return OpenModel("small", "clrnet", ClipSpec(length, size, size, 1.3, "per_frame"), scorer)
