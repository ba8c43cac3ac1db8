"""A manifest: a CSV file with a header and a row for every video.

Columns, in any order; others are for people and not read:

- ``path``, ``url`` or ``location``: a file, relative to the manifest, or an address.
- ``label``: ``real`` or ``fake``.
- ``method`` (or ``dataset``): how it was forged; ``fake`` where that is empty.
- ``split``: ``train``, ``validation`` (or ``val``) or ``test``, in all rows or in none; if in none,
  the parts are drawn by group.
- ``group``: what must not be divided, a person for example.
- ``people``, ``sources``: all of them, separated by ``;``.
- ``id``, ``twin``: as in ``LabelledVideo``.
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

from model_export.data.naming import LONGEST, identifier, is_url
from model_export.data.reading import (
    Collection,
    Layout,
    LeftOut,
    ReaderOptions,
    Reading,
    of_methods,
    require_known,
    with_twins_there,
)
from model_export.data.split import assign_by_group, give_way
from model_export.data.video import REAL, Label, LabelledVideo, Part
from model_export.errors import DataError

LOCATIONS = ("path", "url", "location")
LABELS: dict[str, Label] = {"real": "real", "fake": "fake"}
PARTS: dict[str, Part] = {
    "train": "train",
    "validation": "validation",
    "val": "validation",
    "test": "test",
}
METHOD = "fake"
"""Of fakes whose row names no method."""

_ID = re.compile(rf"[A-Za-z0-9_+-][A-Za-z0-9._+-]{{0,{LONGEST - 1}}}")
_TOO_MANY = "too many cells"


@dataclass(frozen=True, slots=True)
class Row:
    """Where a row stands, and its cells by column."""

    where: str
    cells: dict[str, str]

    def __getitem__(self, column: str) -> str:
        return self.cells.get(column, "").strip()

    def several(self, column: str) -> set[str]:
        """The entries of a cell."""
        return {entry.strip() for entry in self[column].split(";")} - {""}


def read(path: Path, options: ReaderOptions) -> Reading:
    """All rows whose file is there, or that have an address. Raises ``DataError`` with file and
    line for a row that cannot be understood."""
    rows = _rows(path)
    videos = [_video(row, path.parent) for row in rows]
    _require_consistent(rows, videos)
    videos = _with_twins_people(videos)
    there = [video for video in videos if is_url(video.location) or os.path.isfile(video.location)]
    require_known(options.methods, sorted({v.method for v in videos if v.label == "fake"}), path)
    # Parts are drawn before methods are chosen: a video's part must not depend on the choice.
    placed, left_out = _placed(there, options)
    return Reading(
        layout=LAYOUT.name,
        videos=with_twins_there(of_methods(placed, options.methods)),
        left_out=left_out,
        collections=_collections(path.name, videos, there),
    )


def _rows(path: Path) -> list[Row]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, restkey=_TOO_MANY, restval="", strict=True)
            reader.fieldnames = [name.strip().lower() for name in reader.fieldnames or ()]
            header = reader.fieldnames
            rows = [Row(f"{path}, line {reader.line_num}", cells) for cells in reader]
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} is not a CSV file in UTF-8: {error}") from error
    if not header:
        raise DataError(f"{path} is empty")
    if "label" not in header or not set(LOCATIONS) & set(header):
        raise DataError(
            f"{path}, line 1: no header with the columns label and one of {', '.join(LOCATIONS)}"
        )
    if not rows:
        raise DataError(f"{path} has a header and no rows")
    for row in rows:
        if _TOO_MANY in row.cells:
            raise DataError(f"{row.where}: more cells than the header has columns")
    return rows


def _video(row: Row, folder: Path) -> LabelledVideo:
    given = _given(row)
    label, method = _label(row)
    part = PARTS.get(row["split"].lower())
    if row["split"] and part is None:
        raise DataError(f"{row.where}: the split is '{row['split']}', not {', '.join(PARTS)}")
    if row["id"] and not _ID.fullmatch(row["id"]):
        raise DataError(f"{row.where}: the id '{row['id']}' is not fit for a file name")
    own = row["id"] or identifier(
        given if is_url(given) else PurePath(given).with_suffix("").as_posix()
    )
    sources = row.several("sources") | ({row["group"]} - {""}) or {own}
    return LabelledVideo(
        id=own,
        location=given if is_url(given) else str(folder / given),
        label=label,
        method=method,
        part=part,
        people=frozenset(row.several("people") or sources),
        sources=frozenset(sources),
        twin=row["twin"] or None,
    )


def _given(row: Row) -> str:
    filled = [row[column] for column in LOCATIONS if row[column]]
    if len(filled) != 1:
        what = "no file and no address" if not filled else "more than one location"
        raise DataError(f"{row.where}: {what} in {', '.join(LOCATIONS)}")
    return filled[0]


def _label(row: Row) -> tuple[Label, str]:
    label = LABELS.get(row["label"].lower())
    if label is None:
        what = f"the label is '{row['label']}'" if row["label"] else "the label is missing"
        raise DataError(f"{row.where}: {what}; it can be real or fake")
    named = row["method"] or (row["dataset"] if label == "fake" else "")
    if named and (named == REAL) != (label == "real"):
        raise DataError(f"{row.where}: the label is {label}, but the method is {named}")
    return label, REAL if label == "real" else named or METHOD


def _require_consistent(rows: Sequence[Row], videos: Sequence[LabelledVideo]) -> None:
    """What no row tells alone: ids once, twins that are real videos, parts for all or none."""
    by_id: dict[str, LabelledVideo] = {}
    for row, video in zip(rows, videos, strict=True):
        if video.id in by_id:
            raise DataError(f"{row.where}: the id {video.id} is there already")
        by_id[video.id] = video
    divided = any(video.part for video in videos)
    for row, video in zip(rows, videos, strict=True):
        if video.twin and (video.twin not in by_id or by_id[video.twin].label != "real"):
            raise DataError(f"{row.where}: the twin {video.twin} is not the id of a real video")
        if divided and video.part is None:
            raise DataError(f"{row.where}: the split is missing, which other rows have")


def _with_twins_people(videos: Sequence[LabelledVideo]) -> list[LabelledVideo]:
    """A fake has the frames of its twin, so whoever and whatever is in that is in it too."""
    by_id = {video.id: video for video in videos}
    return [
        replace(
            video,
            people=video.people | by_id[video.twin].people,
            sources=video.sources | by_id[video.twin].sources,
        )
        if video.twin
        else video
        for video in videos
    ]


def _placed(
    videos: Sequence[LabelledVideo], options: ReaderOptions
) -> tuple[list[LabelledVideo], list[LeftOut]]:
    if any(video.part for video in videos):
        return give_way(videos, options.overlap)
    return assign_by_group(videos, options.ratios, options.seed), []


def _collections(
    name: str, videos: Sequence[LabelledVideo], there: Sequence[LabelledVideo]
) -> list[Collection]:
    found = {video.id for video in there}
    collections = []
    for method in sorted({video.method for video in videos}):
        listed = [video for video in videos if video.method == method]
        missing = tuple(video.location for video in listed if video.id not in found)
        collections.append(
            Collection(name, method, len(listed) - len(missing), len(listed), missing)
        )
    return collections


LAYOUT = Layout(
    name="manifest",
    splits=("listed",),
    recognises=lambda path: path.is_file(),
    read=read,
)
