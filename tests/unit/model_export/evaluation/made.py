"""Score tables, prepared datasets and networks made for tests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor, nn

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
from model_export.data.video import LabelledVideo, Part
from model_export.detector import Detector
from model_export.networks import build
from model_export.training.config import (
    DataConfig,
    InitConfig,
    ModelConfig,
    RunConfig,
    ScheduleConfig,
)
from model_export.training.run_folder import RunRecord
from service.measures.table import ScoreTable

LENGTH, SIZE = 5, 32


def table_of(
    *videos: tuple[str, str, str, Sequence[float]], part: str = "test", fps: float = 25.0
) -> ScoreTable:
    """A table of (video, people, method, clip scores); each video has one face."""
    return ScoreTable.of(
        [
            (
                *(video, people, method, "real" if method == "real" else "fake", part),
                *(0, n * LENGTH, n * LENGTH + LENGTH - 1),
                *(n * LENGTH / fps, (n + 1) * LENGTH / fps, score),
            )
            for video, people, method, scores in videos
            for n, score in enumerate(scores)
        ]
    )


def plain_table(fake: Sequence[float], real: Sequence[float]) -> ScoreTable:
    """One clip a video, one person each."""
    return table_of(
        *((f"f{n}", f"p{n}", "DF", [score]) for n, score in enumerate(fake)),
        *((f"r{n}", f"q{n}", "real", [score]) for n, score in enumerate(real)),
    )


def prepared(
    folder: Path,
    videos: Sequence[tuple[str, str, str, Part, NDArray[np.uint8]]],
    *,
    size: int = SIZE,
    length: int = LENGTH,
    origin: str = "drawn for a test",
) -> PreparedDataset:
    """A prepared dataset of (id, people, method, part, pixels uint8 (K, T, S, S, 3))."""
    (folder / "clips").mkdir(parents=True)
    rows = []
    for name, people, method, part, pixels in videos:
        count = len(pixels)
        first = np.arange(count, dtype=np.int32) * length
        write_clips(
            VideoClips(
                pixels=pixels,
                track=np.zeros(count, np.int32),
                first_frame=first,
                last_frame=first + length - 1,
                start=first / 25.0,
                end=(first + length) / 25.0,
                boxes=np.zeros((count, length, 4), np.float32),
            ),
            clips_path(folder, name),
        )
        video = LabelledVideo(
            id=name,
            location=f"{name}.mp4",
            label="real" if method == "real" else "fake",
            method=method,
            part=part,
            people=frozenset(people.split(";")),
            sources=frozenset([name]),
        )
        rows.append(PreparedVideo(video, "ok", "", count, count * length, 0.1))
    write_rows(rows, folder / "videos.csv")
    write_preparation(Preparation(length, size, 1.3, "clip", "full", "mtcnn", origin), folder)
    return PreparedDataset(folder)


def grey(
    count: int, brightness: int, *, length: int = LENGTH, size: int = SIZE
) -> NDArray[np.uint8]:
    """Clips of one brightness, uint8 (count, T, S, S, 3)."""
    return np.full((count, length, size, size, 3), brightness, np.uint8)


class Brightness(Detector):
    """P(fake) = sigmoid(slope * (weighted mean of pixels in [0, 1] - 0.5)).

    ``weights`` (T,) says how much each frame counts.
    """

    architecture = "brightness"
    clip_length = LENGTH

    def __init__(self, slope: float = 4.0, weights: Sequence[float] = (1.0,) * LENGTH) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.tensor(slope))
        share = torch.tensor(weights) / sum(weights)
        self.register_buffer("share", share)

    def features(self, x: Tensor) -> Tensor:
        return x

    def classify(self, features: Tensor) -> Tensor:
        share = torch.as_tensor(self.share)
        mean = (features.mean(dim=(2, 3, 4)) * share).sum(dim=1)
        return (self.slope * (mean - 0.5))[:, None]

    def fake_probability(self, logits: Tensor) -> Tensor:
        return torch.sigmoid(logits[:, 0])

    def log_odds(self, logits: Tensor) -> Tensor:
        return logits[:, 0]

    def keras_layers(self) -> Iterator[nn.Module]:
        return iter(())

    def layer_order(self) -> list[tuple[str, nn.Module | None]]:
        return []


def write_run(
    folder: Path,
    dataset: PreparedDataset,
    methods: Sequence[str] = ("DF",),
    *,
    seed: int = 0,
    start: Path | None = None,
    architecture: str = "clrnet",
) -> Path:
    """The folder of a run whose small network was never trained."""
    options = {"initial_filters": 4, "repetitions": [1]} if architecture == "clrnet" else {}
    config = RunConfig(
        name=f"small {architecture}",
        seed=seed,
        model=ModelConfig(
            architecture=architecture, options=options, size=dataset.preparation.size
        ),
        data=DataConfig(folder=dataset.folder, videos=dict.fromkeys(methods)),
        init=InitConfig(weights=start),
        schedule=ScheduleConfig(epochs=1, batch=2),
    )
    folder.mkdir(parents=True)
    record = RunRecord(
        config=config,
        preparation=dataset.preparation,
        videos=dict.fromkeys(methods, 1),
        clips=2,
        data_sha256="0" * 64,
    )
    (folder / "run.json").write_text(record.model_dump_json())
    torch.manual_seed(seed)
    model = build(architecture, (dataset.preparation.size,) * 2, options)
    save_file(model.state_dict(), folder / "weights.safetensors")
    return folder
