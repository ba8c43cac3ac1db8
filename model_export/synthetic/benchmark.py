"""The benchmark: from a folder of faces to videos, a manifest and a word on what they are."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from model_export.data.video import PARTS, REAL, LabelledVideo
from model_export.errors import DataError
from model_export.synthetic.jobs import jobs
from model_export.synthetic.methods import METHODS
from model_export.synthetic.people import Person, Ratios, find_people, find_stills
from model_export.synthetic.processes import in_processes
from model_export.synthetic.production import Row, Workshop, produce, write
from model_export.synthetic.segments import Sighting, look

VERSION = 1
"""Of what the methods draw: it changes when the same options give other videos."""

ORIGIN = (
    "a synthetic benchmark: real faces, forged by deepfake-models with plain image processing; its "
    "methods are stand-ins for those they are named for and none of them"
)


@dataclass(frozen=True, slots=True)
class Options:
    """What is made. ``strength`` in (0, 1.5] scales the traces of the forgeries; ``frames`` of a
    video; ``segments``: the most stretches of one person; ``ratios``: shares of people who train,
    validate and test."""

    strength: float = 1.0
    seed: int = 0
    frames: int = 40
    segments: int = 3
    methods: tuple[str, ...] = tuple(METHODS)
    ratios: Ratios = (0.6, 0.2, 0.2)


@dataclass(frozen=True, slots=True)
class Made:
    """``videos`` are there, in order of person; ``failures`` are what could not be used or made."""

    videos: tuple[LabelledVideo, ...]
    failures: tuple[Row, ...]


def synthesise(
    faces: Path,
    stills: Path | None,
    output: Path,
    options: Options,
    *,
    processes: int,
    console: Console,
    strict: bool = False,
) -> Made:
    """Make a benchmark of the people in ``faces`` in the folder ``output``.

    Writes ``videos/real/<id>.mp4``, ``videos/<METHOD>/<id>.mp4``, ``manifest.csv``, ``report.csv``
    and ``benchmark.json``; what is there already is kept. A file without a face, or that cannot be
    read, is a row of the report and everything else goes on; with ``strict`` it ends the work. The
    bytes of a video depend on the files of the people and the options, not on ``processes``.

    Raises ``DataError`` for unknown methods, too few people, a folder made with other options or
    files, where nothing can be made, and where a file cannot be written.
    """
    _check(options)
    people = find_people(faces, options.ratios, options.seed)
    lenders = find_stills(stills) if stills else []
    everybody = [*people, *lenders]
    _begin(output, options, everybody)

    search = partial(_sighting, options, output / "faces")
    found = in_processes(search, everybody, processes, "finding faces", console)
    sightings = {person.name: sighting for person, sighting in zip(everybody, found, strict=True)}
    rows = [_row(person, sightings[person.name]) for person in everybody]
    _refuse(rows, strict)

    todo = list(jobs(people, lenders, sightings, options.methods, options.seed))
    if not todo:
        raise DataError(f"{faces}: no file shows one face for {options.frames} frames")
    work = partial(produce, Workshop(output, options.frames, options.strength, options.seed))
    for made in in_processes(work, todo, processes, "forging", console):
        rows.extend(made)
    _refuse(rows, strict)

    there = {row.id for row in rows if row.status == "ok"}
    videos = tuple(video for job in todo for video in job.videos() if video.id in there)
    write(output / "manifest.csv", _manifest(videos))
    write(output / "report.csv", _csv([field.name for field in fields(Row)], map(asdict, rows)))
    _describe(output, videos)
    return Made(videos, tuple(row for row in rows if row.status != "ok"))


def _check(options: Options) -> None:
    if not 0 < options.strength <= 1.5:
        raise DataError(f"the strength is above 0 and at most 1.5, not {options.strength:g}")
    unknown = [name for name in options.methods if name not in METHODS]
    if unknown or not options.methods:
        asked = f"no method is called {unknown[0]}" if unknown else "no method is asked for"
        raise DataError(f"{asked}; there are {', '.join(METHODS)}")


def _begin(output: Path, options: Options, people: Sequence[Person]) -> None:
    """Make the folders; refuse those of another benchmark, since its videos would be kept."""
    inputs = {
        "version": VERSION,
        "options": asdict(options),
        "files": {person.name: person.path.stat().st_size for person in people},
    }
    path = output / "benchmark.json"
    inputs = json.loads(json.dumps(inputs))
    if path.exists():
        if _known(path) != inputs:
            raise DataError(
                f"{output} holds a benchmark of other options or videos; choose another folder"
            )
    elif (output / "videos").exists():
        raise DataError(f"{output} holds videos that are not of a benchmark; choose another folder")
    try:
        for folder in ("faces", *(f"videos/{method}" for method in (REAL, *options.methods))):
            (output / folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{output} cannot be written: {error.strerror}") from error
    if not path.exists():
        write(path, _json({"origin": ORIGIN, "made_with": inputs}))


def _known(path: Path) -> Any:
    try:
        return json.loads(path.read_text())["made_with"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} does not describe a benchmark; choose another folder") from error


def _sighting(options: Options, folder: Path, person: Person) -> Sighting:
    """What is in a person's file; looked up where it was looked at before."""
    path = folder / f"{person.name}.json"
    try:
        return Sighting.from_json(json.loads(path.read_text()))
    except FileNotFoundError:
        sighting = look(person, options.frames, options.segments)
    # What could not be read may be there the next time.
    if sighting.status != "unreadable":
        write(path, json.dumps(sighting.to_json()).encode())
    return sighting


def _row(person: Person, sighting: Sighting) -> Row:
    return Row(person.name, str(person.path), person.part, REAL, sighting.status, sighting.message)


def _refuse(rows: Sequence[Row], strict: bool) -> None:
    bad = [row for row in rows if row.status != "ok"]
    if strict and bad:
        more = f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
        raise DataError(f"{bad[0].message or bad[0].id}{more}")


def _manifest(videos: Sequence[LabelledVideo]) -> bytes:
    columns = ("id", "path", "label", "method", "split", "group", "people", "sources", "twin")
    return _csv(
        columns,
        (
            {
                "id": video.id,
                "path": video.location,
                "label": video.label,
                "method": video.method,
                "split": video.part,
                "group": (video.twin or video.id).rpartition("-")[0],
                "people": ";".join(sorted(video.people)),
                "sources": ";".join(sorted(video.sources)),
                "twin": video.twin or "",
            }
            for video in videos
        ),
    )


def _describe(output: Path, videos: Sequence[LabelledVideo]) -> None:
    path = output / "benchmark.json"
    counts = {
        part: dict(sorted(Counter(v.method for v in videos if v.part == part).items()))
        for part in PARTS
    }
    methods = {video.method for video in videos}
    write(
        path,
        _json(
            {
                "origin": ORIGIN,
                "methods": {name: METHODS[name].words for name in METHODS if name in methods},
                "videos": counts,
                "made_with": _known(path),
            }
        ),
    )


def _csv(columns: Sequence[str], rows: Any) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def _json(values: dict[str, Any]) -> bytes:
    return (json.dumps(values, indent=2) + "\n").encode()
