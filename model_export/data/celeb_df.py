"""Celeb-DF, version 2 (Li et al. 2020).

``Celeb-real/idA_NNNN.mp4`` shows person A, ``Celeb-synthesis/idA_idB_NNNN.mp4`` the same video
with the face of person B, ``YouTube-real/NNNNN.mp4`` people without a name, each taken for another
person. ``List_of_testing_videos.txt`` names the test videos, 1 for real and 0 for fake. Nearly
all named people are in that list, so a training part that shares nobody with it is small: whoever
wants to train here divides the people instead (split ``people``).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path

from model_export.data.naming import identifier
from model_export.data.people import draw_people
from model_export.data.reading import (
    Collection,
    Layout,
    LeftOut,
    ReaderOptions,
    Reading,
    require_known,
    with_twins_there,
)
from model_export.data.split import assign_by_group, give_way, place, shares_of
from model_export.data.video import PARTS, REAL, Label, LabelledVideo
from model_export.errors import DataError

METHOD = "CDF"
LIST = "List_of_testing_videos.txt"
LIST_IS_FOR_TESTING = (
    "Most people of Celeb-DF are in its list of test videos, and whatever else shows them is left "
    "out: to train on Celeb-DF, take the split people."
)
LABELS: dict[str, Label] = {"1": "real", "0": "fake"}


@dataclass(frozen=True, slots=True)
class Folder:
    """One kind of videos: the pattern's groups are the people, then the video's number."""

    name: str
    label: Label
    videos: int
    pattern: re.Pattern[str]


FOLDERS = (
    Folder("Celeb-real", "real", 590, re.compile(r"(id\d+)_(\d+)")),
    Folder("YouTube-real", "real", 300, re.compile(r"(\d+)")),
    Folder("Celeb-synthesis", "fake", 5639, re.compile(r"(id\d+)_(id\d+)_(\d+)")),
)


def read(path: Path, options: ReaderOptions) -> Reading:
    """All videos, by the official list or by a division of the people. Raises ``DataError`` naming
    the list and its line where it is wrong."""
    require_known(options.methods, [METHOD], path)
    listed = _listed(path / LIST, required=options.split != "people")
    videos: list[LabelledVideo] = []
    strange: list[LeftOut] = []
    collections: list[Collection] = []
    for folder in FOLDERS:
        files = sorted((path / folder.name).glob("*.mp4"))
        for file in files:
            named = folder.pattern.fullmatch(file.stem)
            if named is None:
                strange.append(LeftOut(str(file), METHOD, None, "not a name of Celeb-DF"))
            else:
                videos.append(_video(folder, file, named.groups()))
        here = {f"{folder.name}/{file.name}" for file in files}
        missing = [name for name in listed if name.startswith(f"{folder.name}/")]
        collections.append(
            Collection(
                name=folder.name,
                method=METHOD if folder.label == "fake" else REAL,
                found=len(files),
                expected=folder.videos,
                missing=tuple(name for name in missing if name not in here),
            )
        )
    divide = _by_people if options.split == "people" else _by_list
    placed, left_out = divide(videos, {str(path / name) for name in listed}, options)
    return Reading(
        layout=LAYOUT.name,
        videos=with_twins_there(placed),
        left_out=[*strange, *left_out],
        collections=collections,
        notes=[LIST_IS_FOR_TESTING] if options.split != "people" and left_out else [],
    )


def _by_list(
    videos: Sequence[LabelledVideo], tests: set[str], options: ReaderOptions
) -> tuple[list[LabelledVideo], list[LeftOut]]:
    """The list tests; what shares nobody with it trains and validates."""
    marked = [
        replace(video, part="test" if video.location in tests else "train") for video in videos
    ]
    kept, left_out = give_way(marked, options.overlap)
    train, validation, _ = options.ratios
    rest = [video for video in kept if video.part != "test"]
    assigned = assign_by_group(rest, (train, validation, 0), options.seed)
    parts = {video.id: video for video in assigned}
    return [parts.get(video.id, video) for video in kept], left_out


def _by_people(
    videos: Sequence[LabelledVideo], tests: set[str], options: ReaderOptions
) -> tuple[list[LabelledVideo], list[LeftOut]]:
    """Everybody into one part; the list is not looked at."""
    shares = shares_of(options.ratios)
    totals = Counter(video.label for video in videos)
    wanted = {
        part: (
            ceil(shares.get(part, 0) * totals["real"]),
            ceil(shares.get(part, 0) * totals["fake"]),
        )
        for part in PARTS
    }
    # Fakes between the parts are no leak that could be refused: this very division makes them.
    return place(videos, draw_people(videos, wanted, options.seed), "drop")


def _video(folder: Folder, file: Path, groups: Sequence[str]) -> LabelledVideo:
    *people, number = groups
    # Where nobody has a name, the number is the person.
    original = identifier("cdf", *people[:1], number)
    return LabelledVideo(
        id=identifier(METHOD if folder.label == "fake" else REAL, file.stem),
        location=str(file),
        label=folder.label,
        method=METHOD if folder.label == "fake" else REAL,
        part=None,
        people=frozenset(identifier("cdf", name) for name in people or [number]),
        sources=frozenset({original}),
        twin=identifier(REAL, people[0], number) if folder.label == "fake" else None,
    )


def _listed(file: Path, *, required: bool) -> list[str]:
    """The test videos as ``folder/name``."""
    try:
        lines = file.read_text().splitlines()
    except OSError as error:
        if not required:
            return []
        raise DataError(
            f"{file} cannot be read ({error.strerror}): the official split needs it; the split "
            "people does not"
        ) from error
    return [
        _entry(words, f"{file}, line {number}")
        for number, words in enumerate(map(str.split, lines), 1)
        if words
    ]


def _entry(words: Sequence[str], where: str) -> str:
    labels = {folder.name: folder.label for folder in FOLDERS}
    digit, name = words if len(words) == 2 else ("", "")
    label, folder = LABELS.get(digit), name.partition("/")[0]
    if label is None or folder not in labels:
        raise DataError(f"{where} is not like '1 YouTube-real/00170.mp4': {' '.join(words)}")
    if labels[folder] != label:
        raise DataError(f"{where} calls {name} {label}, which its folder does not")
    return name


LAYOUT = Layout(
    name="celeb-df",
    splits=("official", "people"),
    recognises=lambda path: any((path / name).exists() for name in ("Celeb-synthesis", LIST)),
    read=read,
)
