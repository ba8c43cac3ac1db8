"""A prepared dataset: the clips of every video as the service would cut them, ready to train on.

A folder with three kinds of files:

- ``dataset.json``: how the clips were cut (:class:`Preparation`).
- ``videos.csv``: a row for every video (:class:`PreparedVideo`), also for those that failed.
- ``clips/<id>.safetensors``: the clips of one video (:class:`VideoClips`).

Safetensors, because it is memory-mapped (a clip is read without its file), holds arrays and no
code, and is what checkpoints are kept in anyway. One file a video, because preparation can then be
taken up again anywhere and a damaged file costs one video. Pixels are not compressed: decoding PNG
would cost more than a training step of the smaller networks, lossy crops would not be what is
served.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from model_export.data.split import prove_disjoint
from model_export.data.video import PARTS, Label, LabelledVideo, Part
from model_export.errors import DataError
from model_export.files import replace_text, replacing
from service.classifier.contract import Alignment

FORMAT = 2

Image = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Preparation:
    """How clips were cut: ``length`` frames of ``size`` x ``size`` pixels; ``margin`` and
    ``alignment`` as in ``ModelContract``; ``sampling`` as the service's; ``faces`` whose clips were
    kept (main, track, all); ``origin`` says in words where the videos come from and stands in what
    is trained on them."""

    length: int
    size: int
    margin: float
    alignment: Alignment
    sampling: str
    detector: str
    origin: str
    faces: str = "main"
    format: int = FORMAT


@dataclass(frozen=True, slots=True)
class PreparedVideo:
    """A video's row. ``status`` is ``ok`` or a stable code (``no_face``, ``undecodable``, ...);
    ``message`` says what happened, with the file's name."""

    video: LabelledVideo
    status: str
    message: str
    clips: int
    frames_decoded: int
    seconds: float
    """What preparing it took."""
    sha256: str = ""
    """Of the file of its clips, in hexadecimal; empty where there is none."""


@dataclass(frozen=True, slots=True)
class VideoClips:
    """K clips of one video. ``pixels`` uint8 (K, T, S, S, 3) RGB; ``track`` int32 (K,);
    ``first_frame``, ``last_frame`` int32 (K,); ``start``, ``end`` float64 (K,) seconds; ``boxes``
    float32 (K, T, 4), x0 y0 x1 y1 in the video's pixels. ``twin`` is like ``pixels``: the same
    frames of the real video this one was forged from, cut at the same boxes, where it has one."""

    pixels: Image
    track: NDArray[np.int32]
    first_frame: NDArray[np.int32]
    last_frame: NDArray[np.int32]
    start: NDArray[np.float64]
    end: NDArray[np.float64]
    boxes: NDArray[np.float32]
    twin: Image | None = None

    def __len__(self) -> int:
        return len(self.pixels)


class PreparedDataset:
    """A prepared folder, opened for reading. Raises ``DataError`` naming what is missing, or who is
    in two parts: a folder may have been prepared twice, with different splits."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.preparation = _read_preparation(folder / "dataset.json")
        self.rows: tuple[PreparedVideo, ...] = tuple(read_rows(folder / "videos.csv"))
        try:
            prove_disjoint([row.video for row in self.rows])
        except DataError as error:
            raise DataError(f"{folder}: {error}") from error

    def videos(
        self, part: Part | None = None, methods: Sequence[str] | None = None
    ) -> list[PreparedVideo]:
        """The videos that have clips, in the order of the table, of one part and some methods
        (``real`` is a method)."""
        return [
            row
            for row in self.rows
            if row.status == "ok"
            and (part is None or row.video.part == part)
            and (methods is None or row.video.method in methods)
        ]

    def methods(self) -> list[str]:
        """The forgery methods that have clips, in alphabetical order."""
        return sorted({row.video.method for row in self.videos() if row.video.label == "fake"})

    def path(self, video: str) -> Path:
        """Where a video's clips lie."""
        return clips_path(self.folder, video)

    def load(self, video: str, *, twin: bool = True) -> VideoClips:
        """All clips of a video; without ``twin`` those of its twin stay where they are."""
        return read_clips(self.path(video), twin=twin)

    def clip(self, video: str, index: int, array: Literal["pixels", "twin"] = "pixels") -> Image:
        """One clip, uint8 (T, S, S, 3) RGB, read from the mapped file alone."""
        path = self.path(video)
        try:
            with safe_open(path, framework="numpy") as file:
                return cast("Image", file.get_slice(array)[index : index + 1][0])
        except (OSError, SafetensorError) as error:
            raise DataError(f"{path} cannot be read: {error}") from error


def clips_path(folder: Path, video: str) -> Path:
    """Where the clips of a video lie in a prepared folder."""
    return folder / "clips" / f"{video}.safetensors"


def write_clips(clips: VideoClips, path: Path) -> str:
    """Write a video's clips, whole or not at all, and give the file's SHA-256 in hexadecimal: equal
    clips make equal files. Raises ``OSError`` (a full disk, say)."""
    values = {field.name: getattr(clips, field.name) for field in fields(clips)}
    arrays = {
        name: np.ascontiguousarray(value) for name, value in values.items() if value is not None
    }
    with replacing(path) as part:
        try:
            save_file(arrays, part)
        except SafetensorError as error:
            raise OSError(str(error)) from error
        with part.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def read_clips(path: Path, *, twin: bool = True) -> VideoClips:
    """What ``write_clips`` wrote, the ``twin`` only if asked. Raises ``DataError`` naming the
    file."""
    try:
        with safe_open(path, framework="numpy") as file:
            names = [name for name in file.keys() if twin or name != "twin"]  # noqa: SIM118
            return VideoClips(**{name: file.get_tensor(name) for name in names})
    except (OSError, SafetensorError, TypeError) as error:
        raise DataError(f"{path} cannot be read: {error}") from error


def write_preparation(preparation: Preparation, folder: Path) -> None:
    """Write ``dataset.json``."""
    replace_text(folder / "dataset.json", json.dumps(asdict(preparation), indent=2) + "\n")


def write_rows(rows: Iterable[PreparedVideo], path: Path) -> None:
    """Write ``videos.csv``, whole or not at all."""
    with (
        replacing(path) as part,
        part.open("w", newline="", encoding="utf-8", errors=_NAMES) as file,
    ):
        writer = csv.DictWriter(file, fieldnames=_COLUMNS)
        writer.writeheader()
        writer.writerows(_cells(row) for row in rows)


def read_rows(path: Path) -> list[PreparedVideo]:
    """Read ``videos.csv``. Raises ``DataError`` naming the file and line."""
    try:
        with path.open(newline="", encoding="utf-8", errors=_NAMES) as file:
            return [_row(cells, path, line) for line, cells in enumerate(csv.DictReader(file), 2)]
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error


_COLUMNS = (
    *("id", "location", "label", "method", "part", "people", "sources", "twin"),
    *("status", "message", "clips", "frames_decoded", "seconds", "sha256"),
)
# File names are bytes, and those of some datasets are not UTF-8.
_NAMES = "surrogateescape"
_SEPARATOR = ";"
_LABELS: Mapping[str, Label] = {"real": "real", "fake": "fake"}
_PARTS: Mapping[str, Part | None] = {"": None, **{part: part for part in PARTS}}


def _cells(row: PreparedVideo) -> dict[str, str]:
    video = row.video
    return {
        "id": video.id,
        "location": video.location,
        "label": video.label,
        "method": video.method,
        "part": video.part or "",
        "people": _joined(video.people),
        "sources": _joined(video.sources),
        "twin": video.twin or "",
        "status": row.status,
        "message": row.message,
        "clips": str(row.clips),
        "frames_decoded": str(row.frames_decoded),
        "seconds": f"{row.seconds:.3f}",
        "sha256": row.sha256,
    }


def _joined(names: frozenset[str]) -> str:
    # A name that holds the separator must not come back as two.
    return _SEPARATOR.join(sorted(name.replace(_SEPARATOR, ",") for name in names))


def _row(cells: dict[str, str], path: Path, line: int) -> PreparedVideo:
    try:
        video = LabelledVideo(
            id=cells["id"],
            location=cells["location"],
            label=_LABELS[cells["label"]],
            method=cells["method"],
            part=_PARTS[cells["part"]],
            people=frozenset(filter(None, cells["people"].split(_SEPARATOR))),
            sources=frozenset(filter(None, cells["sources"].split(_SEPARATOR))),
            twin=cells["twin"] or None,
        )
        return PreparedVideo(
            video=video,
            status=cells["status"],
            message=cells["message"],
            clips=int(cells["clips"]),
            frames_decoded=int(cells["frames_decoded"]),
            seconds=float(cells["seconds"]),
            sha256=cells["sha256"],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}, line {line}: not a row of a prepared dataset") from error


def _read_preparation(path: Path) -> Preparation:
    try:
        values: dict[str, Any] = json.loads(path.read_text())
        preparation = Preparation(**values)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, TypeError) as error:
        raise DataError(f"{path} does not describe a prepared dataset") from error
    if preparation.format != FORMAT:
        raise DataError(f"{path}: format {preparation.format} is not read here, only {FORMAT}")
    return preparation
