"""A plain folder: ``real/`` with real videos, ``fake/`` with fakes or a folder for each method."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from model_export.data.naming import SUFFIXES, identifier
from model_export.data.reading import (
    Collection,
    Layout,
    LeftOut,
    ReaderOptions,
    Reading,
    of_methods,
    require_known,
)
from model_export.data.split import assign_by_group
from model_export.data.video import REAL, Label, LabelledVideo
from model_export.errors import DataError

METHOD = "fake"
"""Of fakes that lie in ``fake/`` itself."""


def read(path: Path, options: ReaderOptions) -> Reading:
    """All videos below ``real/`` and ``fake/``. Videos of one group, real and forged, are in one
    part: those of one file name without suffix, or of what stands before the first
    ``options.separator`` in it. Raises ``DataError`` for a folder whose name is no method."""
    videos: list[LabelledVideo] = []
    left_out: list[LeftOut] = []
    collections: list[Collection] = []
    for method, folder, files in _sets(path):
        known = [file for file in files if file.suffix.lower() in SUFFIXES]
        videos += [_video(method, file, folder, options.separator) for file in known]
        left_out += [
            LeftOut(str(file), method, None, "not a video by its name")
            for file in files
            if file not in known
        ]
        name = str(folder.relative_to(path))
        collections.append(Collection(name, method, len(known), None))
    methods = {video.method for video in videos if video.label == "fake"}
    require_known(options.methods, sorted(methods), path)
    # Parts are drawn before methods are chosen: a video's part must not depend on the choice.
    placed = assign_by_group(videos, options.ratios, options.seed)
    return Reading(LAYOUT.name, of_methods(placed, options.methods), left_out, collections)


def _sets(path: Path) -> Iterator[tuple[str, Path, list[Path]]]:
    """Method, folder and files of each set."""
    real, fake = path / REAL, path / METHOD
    yield REAL, real, _files(real, "**/*")
    folders = [folder for folder in sorted(fake.glob("*")) if folder.is_dir()]
    direct = _files(fake, "*")
    if direct or not folders:
        yield METHOD, fake, direct
    for folder in folders:
        if folder.name in (REAL, METHOD):
            raise DataError(f"{folder} is no name of a forgery method")
        yield folder.name, folder, _files(folder, "**/*")


def _files(folder: Path, pattern: str) -> list[Path]:
    return sorted(
        file for file in folder.glob(pattern) if file.is_file() and not file.name.startswith(".")
    )


def _video(method: str, file: Path, folder: Path, separator: str | None) -> LabelledVideo:
    label: Label = "real" if method == REAL else "fake"
    group = file.stem.partition(separator)[0] if separator else file.stem
    if not group:
        raise DataError(f"{file}: nothing before the separator {separator} names the group")
    return LabelledVideo(
        id=identifier(method, file.relative_to(folder).with_suffix("").as_posix()),
        location=str(file),
        label=label,
        method=method,
        part=None,
        people=frozenset({group}),
        sources=frozenset({group}),
    )


LAYOUT = Layout(
    name="folder",
    splits=("groups",),
    recognises=lambda path: (path / REAL).is_dir() or (path / METHOD).is_dir(),
    read=read,
)
