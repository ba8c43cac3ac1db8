"""The Deepfake Detection Challenge's training set (DFDC, Dolhansky et al. 2020).

Folders ``dfdc_train_part_N`` with videos and a ``metadata.json`` that has the label of each and,
for fakes, the original. Who the people are is not published, so an original stands for its
people.
"""

from __future__ import annotations

import json
from pathlib import Path, PurePath
from typing import Any

from model_export.data.naming import identifier, natural
from model_export.data.reading import (
    Collection,
    Layout,
    ReaderOptions,
    Reading,
    require_known,
    with_twins_there,
)
from model_export.data.split import assign_by_group
from model_export.data.video import REAL, Label, LabelledVideo
from model_export.errors import DataError

METHOD = "DFDC"
FOLDERS = "dfdc_train_part_*"
METADATA = "metadata.json"
LABELS: dict[str, Label] = {"REAL": "real", "FAKE": "fake"}


def read(path: Path, options: ReaderOptions) -> Reading:
    """All listed videos that are there. Raises ``DataError`` naming the metadata file and, where
    it is one entry's fault, the video."""
    require_known(options.methods, [METHOD], path)
    videos: list[LabelledVideo] = []
    collections: list[Collection] = []
    folder_of: dict[str, str] = {}
    for folder in _folders(path):
        listed = _listed(folder)
        there = {file.name for file in folder.iterdir()}
        missing = tuple(sorted(listed.keys() - there))
        found = [video for name, video in listed.items() if name in there]
        videos += found
        folder_of |= {video.id: str(folder) for video in found}
        name = "." if folder == path else str(folder.relative_to(path))
        collections.append(Collection(name, METHOD, len(found), len(listed), missing))
    together = folder_of if options.split == "folders" else None
    placed = assign_by_group(videos, options.ratios, options.seed, together)
    return Reading(LAYOUT.name, with_twins_there(placed), collections=collections)


def _folders(path: Path) -> list[Path]:
    """Folders with metadata, wherever unpacking put them. Raises ``DataError`` for one without."""
    folders = {file.parent for depth in ("", "*/", "*/*/") for file in path.glob(depth + METADATA)}
    for part in path.glob(FOLDERS):
        if part.is_dir() and not any(part in (folder, *folder.parents) for folder in folders):
            raise DataError(f"{part / METADATA} is not there")
    if not folders:
        raise DataError(f"{path} has no folder with a {METADATA}")
    return sorted(folders, key=natural)


def _listed(folder: Path) -> dict[str, LabelledVideo]:
    """File name to video, as the folder's metadata say."""
    file = folder / METADATA
    try:
        entries: Any = json.loads(file.read_text())
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise DataError(f"{file} is not JSON: {error}") from error
    if not isinstance(entries, dict):
        raise DataError(f"{file} does not list videos by their name")
    return {name: _video(name, entry, folder) for name, entry in entries.items()}


def _video(name: str, entry: Any, folder: Path) -> LabelledVideo:
    file = folder / METADATA
    label = LABELS.get(str(entry.get("label"))) if isinstance(entry, dict) else None
    if label is None:
        raise DataError(f"{file}: {name} has no label FAKE or REAL: {entry!r}")
    if name != PurePath(name).name:
        raise DataError(f"{file}: {name} is not the name of a file in this folder")
    original = entry.get("original") if label == "fake" else name
    if not isinstance(original, str) or not original:
        raise DataError(f"{file}: the fake {name} has no original")
    source = identifier("dfdc", PurePath(original).stem)
    return LabelledVideo(
        id=identifier(PurePath(name).stem),
        location=str(folder / name),
        label=label,
        method=METHOD if label == "fake" else REAL,
        part=None,
        people=frozenset({source}),
        sources=frozenset({source}),
        twin=identifier(PurePath(original).stem) if label == "fake" else None,
    )


LAYOUT = Layout(
    name="dfdc",
    splits=("groups", "folders"),
    recognises=lambda path: (
        any(path.glob(FOLDERS)) or any(path.glob(METADATA)) or any(path.glob(f"*/{METADATA}"))
    ),
    read=read,
)
