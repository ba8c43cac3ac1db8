"""FaceForensics++ as its download script lays it out (Roessler et al. 2019).

Under ``original_sequences/youtube`` lie the real videos ``NNN.mp4``, under
``manipulated_sequences/<method>`` the fakes ``TTT_SSS.mp4``: the video TTT with the face, or the
expression, of the video SSS. Who the people are is not known, so a video stands for its person.
"""

from __future__ import annotations

import json
import re
from bisect import bisect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from model_export.data import deepfakedetection
from model_export.data.naming import compressed, identifier
from model_export.data.reading import (
    Collection,
    Layout,
    LeftOut,
    ReaderOptions,
    Reading,
    require_known,
    with_twins_there,
)
from model_export.data.split import place
from model_export.data.video import PARTS, REAL, LabelledVideo, Part
from model_export.errors import DataError

METHODS = {
    "DF": "Deepfakes",
    "FS": "FaceSwap",
    "F2F": "Face2Face",
    "NT": "NeuralTextures",
    "FSh": "FaceShifter",
    "DFD": "DeepFakeDetection",
}

VIDEOS = 1000
"""Real videos, and fakes of each method."""

FIRST_VALIDATION, FIRST_TEST = 750, 875
"""The papers train on the first 750 videos, validate on the next 125, test on the last 125."""

FILES: Mapping[Part, str] = {"train": "train.json", "validation": "val.json", "test": "test.json"}
"""The official split. Each file is a list of pairs, each pair stands for both of its fakes."""

_REAL = re.compile(r"(\d{3})")
_FAKE = re.compile(r"(\d{3})_(\d{3})")


@dataclass(frozen=True, slots=True)
class Split:
    """``homes``: the part of each video by its number. ``fakes``: the names that all methods
    should have, as far as the split tells them."""

    homes: Mapping[str, Part]
    fakes: frozenset[str] = frozenset()


def read(path: Path, options: ReaderOptions) -> Reading:
    """The fakes of the methods that are there, or of those that are asked for, with their real
    videos. Raises ``DataError`` naming the folder or file that is missing or wrong."""
    require_known(options.methods, METHODS, path)
    folders = {method: path / "manipulated_sequences" / name for method, name in METHODS.items()}
    there = [method for method, folder in folders.items() if folder.is_dir()]
    for method in set(options.methods or ()) - set(there):
        raise DataError(f"{folders[method]} is not there")
    methods = options.methods or tuple(there)
    swapped = [method for method in methods if method != "DFD"]
    readings = [_read_youtube(path, swapped, options)] if swapped or not methods else []
    if "DFD" in methods:
        readings.append(deepfakedetection.read(path, options))
    notes = [note for reading in readings for note in reading.notes]
    if not options.methods and len(there) < len(METHODS):
        absent = [name for method, name in METHODS.items() if method not in there]
        notes.append(f"Not there: {', '.join(absent)}.")
    collections = tuple(chain.from_iterable(reading.collections for reading in readings))
    if not any(collection.found for collection in collections):
        raise DataError(
            f"{path} has no videos of compression {options.compression}, "
            f"for example in {collections[0].name}"
        )
    return Reading(
        layout=LAYOUT.name,
        videos=tuple(chain.from_iterable(reading.videos for reading in readings)),
        left_out=tuple(chain.from_iterable(reading.left_out for reading in readings)),
        collections=collections,
        notes=notes,
    )


def official_split(folder: Path) -> Split:
    """The parts of the official json files. Raises ``DataError`` naming the file that is missing,
    is no list of pairs, or has a video again."""
    homes: dict[str, Part] = {}
    fakes: set[str] = set()
    for part in PARTS:
        file = folder / FILES[part]
        for one, other in _pairs(file):
            for number in (one, other):
                if number in homes:
                    raise DataError(f"{file}: video {number} is in the split already")
                homes[number] = part
            fakes |= {f"{one}_{other}", f"{other}_{one}"}
    return Split(homes, frozenset(fakes))


def papers_split() -> Split:
    """The parts of the CLRNet papers, by the number of the video."""
    firsts = (FIRST_VALIDATION, FIRST_TEST)
    return Split({f"{number:03d}": PARTS[bisect(firsts, number)] for number in range(VIDEOS)})


def _read_youtube(path: Path, methods: Sequence[str], options: ReaderOptions) -> Reading:
    split = papers_split()
    if options.split != "papers":
        split = official_split(options.splits or path / "splits")
    bases = {REAL: path / "original_sequences" / "youtube"}
    bases |= {method: path / "manipulated_sequences" / METHODS[method] for method in methods}
    folders = {method: compressed(base, options.compression) for method, base in bases.items()}
    found = {method: sorted(folder.glob("*.mp4")) for method, folder in folders.items()}
    videos: list[LabelledVideo] = []
    strange: list[LeftOut] = []
    for method, files in found.items():
        for file in files:
            named = (_REAL if method == REAL else _FAKE).fullmatch(file.stem)
            if named is None:
                strange.append(LeftOut(str(file), method, None, "not a name of FaceForensics++"))
            else:
                videos.append(_video(method, file, named.groups()))
    homes = {_person(number): part for number, part in split.homes.items()}
    placed, left_out = place(videos, homes, options.overlap)
    fakes = split.fakes or {file.stem for method in methods for file in found[method]}
    collections = [
        Collection(
            name=str(folders[method].relative_to(path)),
            method=method,
            found=len(files),
            expected=len(split.homes),
            missing=_missing(split.homes if method == REAL else fakes, files),
        )
        for method, files in found.items()
    ]
    return Reading(LAYOUT.name, with_twins_there(placed), [*strange, *left_out], collections)


def _video(method: str, file: Path, numbers: tuple[str, ...]) -> LabelledVideo:
    people = frozenset(map(_person, numbers))
    forged = method != REAL
    return LabelledVideo(
        id=identifier(method, file.stem),
        location=str(file),
        label="fake" if forged else "real",
        method=method,
        part=None,
        people=people,
        sources=people,
        twin=identifier(REAL, numbers[0]) if forged else None,
    )


def _person(number: str) -> str:
    return f"ff-{number}"


def _missing(names: Iterable[str], files: Iterable[Path]) -> tuple[str, ...]:
    there = {file.stem for file in files}
    return tuple(f"{name}.mp4" for name in sorted(names) if name not in there)


def _pairs(file: Path) -> list[tuple[str, str]]:
    try:
        pairs: Any = json.loads(file.read_text())
    except OSError as error:
        raise DataError(
            f"{file} cannot be read ({error.strerror}): the official split needs train.json, "
            "val.json and test.json of FaceForensics++; name their folder, or take the papers' "
            "split"
        ) from error
    except ValueError as error:
        raise DataError(f"{file} is not JSON: {error}") from error
    if not isinstance(pairs, list) or not all(map(_is_pair, pairs)):
        raise DataError(f'{file} is not a list of pairs like ["071", "054"]')
    return [(one, other) for one, other in pairs]


def _is_pair(value: object) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 2
        and all(isinstance(number, str) and _REAL.fullmatch(number) for number in value)
    )


LAYOUT = Layout(
    name="faceforensics",
    splits=("official", "papers"),
    recognises=lambda path: any(
        (path / name).is_dir() for name in ("original_sequences", "manipulated_sequences")
    ),
    read=read,
)
