"""What a reader is asked and what it found: the options, the layouts, and the reading itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from model_export.data.video import LabelledVideo, Part
from model_export.errors import DataError

Compression = Literal["c0", "c23", "c40"]
Overlap = Literal["drop", "refuse"]
LayoutName = Literal["faceforensics", "dfdc", "celeb-df", "folder", "manifest"]
SplitName = Literal["official", "papers", "people", "groups", "folders", "listed"]


@dataclass(frozen=True, slots=True)
class ReaderOptions:
    """How a dataset is read. What a layout has no use for is ignored, but a split it does not know
    is refused.

    ``layout``: its name, None to recognise it. ``split``: None for the layout's first one.
    ``splits``: folder of FaceForensics++'s train.json, val.json and test.json. ``methods``: the
    forgeries to read with the real videos that belong to them, None for all. ``ratios``: shares of
    train, validation and test where the layout draws the parts itself, with ``seed``. ``overlap``:
    what becomes of videos that share a person or source with another part. ``separator``: in a
    plain folder, what ends the part of the file name that names the group.
    """

    layout: str | None = None
    compression: Compression = "c23"
    split: SplitName | None = None
    splits: Path | None = None
    methods: tuple[str, ...] | None = None
    ratios: tuple[float, float, float] = (0.75, 0.125, 0.125)
    seed: int = 0
    overlap: Overlap = "drop"
    separator: str | None = None


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A file that is there and not used: a leak that was dropped, or a name nobody understands."""

    location: str
    method: str
    part: Part | None
    reason: str


@dataclass(frozen=True, slots=True)
class Collection:
    """One place videos come from. ``expected`` is how many a whole dataset has there, where that
    is known; ``missing`` names those of them that can be named."""

    name: str
    method: str
    found: int
    expected: int | None
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reading:
    """A dataset as it lies on disk. ``videos`` exist, or are URLs; no two parts share a person or
    a source. ``notes`` are sentences for people."""

    layout: str
    videos: Sequence[LabelledVideo]
    left_out: Sequence[LeftOut] = ()
    collections: Sequence[Collection] = ()
    notes: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Layout:
    """A way datasets lie on disk. ``splits``: those it knows, its default first."""

    name: LayoutName
    splits: tuple[SplitName, ...]
    recognises: Callable[[Path], bool]
    read: Callable[[Path, ReaderOptions], Reading]


def require_known(asked: Sequence[str] | None, known: Iterable[str], path: Path) -> None:
    """Raises ``DataError`` if a method is asked for that a dataset does not have."""
    for method in asked or ():
        if method not in known:
            raise DataError(f"{path} has no method {method}; there are {', '.join(known)}")


def with_twins_there(videos: Iterable[LabelledVideo]) -> list[LabelledVideo]:
    """The videos without the twins that are not among them, or in another part."""
    videos = list(videos)
    parts = {video.id: video.part for video in videos}
    return [
        video if parts.get(video.twin or "", "") == video.part else replace(video, twin=None)
        for video in videos
    ]


def of_methods(
    videos: Iterable[LabelledVideo], methods: Sequence[str] | None
) -> list[LabelledVideo]:
    """The real videos and the fakes of some methods, or of all."""
    return [
        video
        for video in videos
        if methods is None or video.method in methods or video.label == "real"
    ]
