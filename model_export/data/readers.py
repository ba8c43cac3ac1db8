"""Datasets from their layouts on disk to labelled videos."""

from __future__ import annotations

from pathlib import Path

from model_export.data.reading import Layout, ReaderOptions, Reading
from model_export.data.video import LabelledVideo
from model_export.errors import DataError

__all__ = ["LAYOUTS", "ReaderOptions", "Reading", "read", "read_dataset"]

LAYOUTS: dict[str, Layout] = {}


def read_dataset(path: Path, options: ReaderOptions) -> list[LabelledVideo]:
    """The videos of the dataset at ``path`` that are there, each in its part, disjoint by person
    and by source. Raises ``DataError`` naming the file that is not as it should be."""
    return list(read(path, options).videos)


def read(path: Path, options: ReaderOptions) -> Reading:
    """The same with what was left out, what is missing, and notes for people."""
    raise DataError(f"{path}: no layout of a dataset is recognised here")
