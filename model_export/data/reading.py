"""What a reader is asked and what it found: the options, the layouts, and the reading itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from model_export.data.video import LabelledVideo, Part

Compression = Literal["c0", "c23", "c40"]
Overlap = Literal["drop", "refuse"]
SplitName = Literal["official", "papers", "groups", "folders", "people", "listed"]


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

    name: str
    splits: tuple[SplitName, ...]
    recognises: Callable[[Path], bool]
    read: Callable[[Path, ReaderOptions], Reading]
