"""Datasets from their layouts on disk to labelled videos."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from model_export.data import celeb_df, dfdc, faceforensics, folder, manifest
from model_export.data.reading import Layout, ReaderOptions, Reading
from model_export.data.split import prove_disjoint
from model_export.data.video import LabelledVideo
from model_export.errors import DataError

__all__ = ["LAYOUTS", "ReaderOptions", "Reading", "read", "read_dataset"]

LAYOUTS: dict[str, Layout] = {
    layout.name: layout
    for layout in (
        faceforensics.LAYOUT,
        dfdc.LAYOUT,
        celeb_df.LAYOUT,
        folder.LAYOUT,
        manifest.LAYOUT,
    )
}


def read_dataset(path: Path, options: ReaderOptions) -> list[LabelledVideo]:
    """The videos of the dataset at ``path`` that are there, each in its part, disjoint by person
    and by source. Raises ``DataError`` naming the file that is not as it should be."""
    return list(read(path, options).videos)


def read(path: Path, options: ReaderOptions) -> Reading:
    """The same with what was left out, what is missing, and notes for people."""
    if not path.exists():
        raise DataError(f"{path} is not there")
    if options.layout and options.layout not in LAYOUTS:
        raise DataError(f"there is no layout {options.layout}, only {', '.join(LAYOUTS)}")
    layout = LAYOUTS[options.layout] if options.layout else recognise(path)
    split = options.split or layout.splits[0]
    if split not in layout.splits:
        raise DataError(
            f"{path}: the layout {layout.name} has no split {split}, only "
            f"{' and '.join(layout.splits)}"
        )
    reading = layout.read(path, replace(options, split=split))
    _require_unique(reading.videos)
    prove_disjoint(reading.videos)
    return reading


def recognise(path: Path) -> Layout:
    """The one layout that a path can have. Raises ``DataError`` if there are none or several."""
    found = [layout for layout in LAYOUTS.values() if layout.recognises(path)]
    if len(found) == 1:
        return found[0]
    those: list[str] = [layout.name for layout in found] or list(LAYOUTS)
    what = "could be several layouts" if found else "is no layout that is known by its folders"
    raise DataError(f"{path} {what}: say which of {', '.join(those)}")


def _require_unique(videos: Iterable[LabelledVideo]) -> None:
    first: dict[str, LabelledVideo] = {}
    for video in videos:
        other = first.setdefault(video.id, video)
        if other is not video:
            raise DataError(
                f"{other.location} and {video.location} have the same id {video.id}: rename one"
            )
