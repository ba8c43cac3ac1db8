"""Datasets as they lie on disk, of files without a byte."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from model_export.data.reading import LeftOut
from model_export.data.video import LabelledVideo, Part

FOLDERS = {
    "DF": "Deepfakes",
    "FS": "FaceSwap",
    "F2F": "Face2Face",
    "NT": "NeuralTextures",
    "FSh": "FaceShifter",
    "DFD": "DeepFakeDetection",
}


def touch(folder: Path, names: Iterable[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()


def faceforensics(
    path: Path,
    pairs: Iterable[tuple[str, str]],
    methods: Iterable[str] = ("DF",),
    compression: str = "c23",
) -> Path:
    """Both fakes of each pair of videos, by each method, and the real videos of them all."""
    pairs = list(pairs)
    videos = sorted({number for pair in pairs for number in pair})
    touch(
        path / "original_sequences/youtube" / compression / "videos",
        (f"{number}.mp4" for number in videos),
    )
    fakes = [f"{a}_{b}.mp4" for one, other in pairs for a, b in ((one, other), (other, one))]
    for method in methods:
        touch(path / "manipulated_sequences" / FOLDERS[method] / compression / "videos", fakes)
    return path


def official_splits(folder: Path, pairs: Mapping[str, Sequence[tuple[str, str]]]) -> Path:
    """``train``, ``val`` and ``test`` to files of those names."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in pairs.items():
        (folder / f"{name}.json").write_text(json.dumps([list(pair) for pair in content]))
    return folder


def video(
    name: str,
    part: Part | None = None,
    *,
    label: str = "fake",
    people: Iterable[str] = (),
    sources: Iterable[str] = (),
) -> LabelledVideo:
    """A video that is nowhere."""
    return LabelledVideo(
        id=name,
        location=f"{name}.mp4",
        label="fake" if label == "fake" else "real",
        method="DF" if label == "fake" else "real",
        part=part,
        people=frozenset(people),
        sources=frozenset(sources),
    )


def parts(videos: Iterable[LabelledVideo]) -> dict[str, Part | None]:
    return {each.id: each.part for each in videos}


def names(files: Iterable[LeftOut]) -> list[str]:
    return [Path(file.location).name for file in files]
