"""The benchmark: from a folder of faces to videos, a manifest and a word on what they are."""

from __future__ import annotations

import csv
import hashlib
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
from model_export.synthetic.production import Row, Workshop, lost, produce, write
from model_export.synthetic.segments import Sighting, look

VERSION = 2
"""Of how videos are made. To be raised with every change after which the same files and options
give other videos, in recipes, methods, recordings or what is drawn: a folder that was begun before
is then refused, where half of it would be made in another way. 2: the recipes' traces as they are
documented."""

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
    read, or on which a process dies, is a row of the report and everything else goes on; with
    ``strict`` it ends the work. The bytes of a video depend on the files of the people and the
    options, not on ``processes``.

    Raises ``DataError`` for unknown methods, too few people, a folder made with other options or
    files, where nothing can be made, and where a file cannot be written.
    """
    _check(options)
    people = find_people(faces, options.ratios, options.seed)
    lenders = find_stills(stills) if stills else []
    everybody = [*people, *lenders]
    _require_names_apart(everybody)
    made_with = _begin(output, options, everybody)

    search = partial(_sighting, options, output / "faces")
    found = in_processes(search, _crashed, everybody, processes, "finding faces", console)
    sightings = {person.name: sighting for person, sighting in zip(everybody, found, strict=True)}
    rows = [_row(person, sightings[person.name]) for person in everybody]
    _refuse(rows, strict)

    todo = list(jobs(people, lenders, sightings, options.methods, options.seed))
    if not todo:
        raise DataError(f"{faces}: no file shows one face for {options.frames} frames")
    workshop = Workshop(output, options.frames, options.strength, options.seed)
    work, given_up = partial(produce, workshop), partial(lost, workshop)
    for made in in_processes(work, given_up, todo, processes, "forging", console):
        rows.extend(made)
    _refuse(rows, strict)

    there = {row.id for row in rows if row.status == "ok"}
    videos = tuple(video for job in todo for video in job.videos() if video.id in there)
    write(output / "manifest.csv", _manifest(videos))
    write(output / "report.csv", _csv([field.name for field in fields(Row)], map(asdict, rows)))
    _describe(output, videos, made_with)
    return Made(videos, tuple(row for row in rows if row.status != "ok"))


def _check(options: Options) -> None:
    if not 0 < options.strength <= 1.5:
        raise DataError(f"the strength is above 0 and at most 1.5, not {options.strength:g}")
    unknown = [name for name in options.methods if name not in METHODS]
    if unknown or not options.methods:
        asked = f"no method is called {unknown[0]}" if unknown else "no method is asked for"
        raise DataError(f"{asked}; there are {', '.join(METHODS)}")


def _require_names_apart(people: Sequence[Person]) -> None:
    names: dict[str, Person] = {}
    for person in people:
        other = names.setdefault(person.name, person)
        if other is not person:
            raise DataError(f"{other.path} and {person.path} would both be {person.name}")


def _begin(output: Path, options: Options, people: Sequence[Person]) -> dict[str, Any]:
    """Make the folders; refuse those of another benchmark, since its videos would be kept. Returns
    what identifies this one."""
    files = {person.name: _digest(person.path) for person in people}
    path = output / "benchmark.json"
    # Through JSON, which knows no tuples, so that it equals what is read back.
    inputs: dict[str, Any] = json.loads(
        json.dumps({"version": VERSION, "options": asdict(options), "files": files})
    )
    if path.exists():
        there = _known(path)
        known = dict(there.get("files", {}))
        # A file that cannot be read, now or then, may be the same one.
        inputs["files"] = {name: digest or known.get(name) for name, digest in files.items()}
        there["files"] = {name: digest or files.get(name) for name, digest in known.items()}
        for key, of_what in (
            ("version", "an older version"),
            ("options", "other options"),
            ("files", "other videos"),
        ):
            if there.get(key) != inputs[key]:
                raise DataError(f"{output} holds a benchmark of {of_what}; choose another folder")
    elif (output / "videos").exists():
        raise DataError(f"{output} holds videos that are not of a benchmark; choose another folder")
    try:
        for folder in ("faces", *(f"videos/{method}" for method in (REAL, *options.methods))):
            (output / folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{output} cannot be written: {error.strerror}") from error
    if not path.exists():
        write(path, _json({"origin": ORIGIN, "made_with": inputs}))
    return inputs


def _digest(path: Path) -> str | None:
    """SHA-256 in hexadecimal of a file that can be read. Size and time would not do: another file
    can have the same size, and a copy has another time. Reading costs little beside MTCNN."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def _known(path: Path) -> dict[str, Any]:
    try:
        made_with: dict[str, Any] = json.loads(path.read_text())["made_with"]
        return dict(made_with)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} does not describe a benchmark; choose another folder") from error


def _sighting(options: Options, folder: Path, person: Person) -> Sighting:
    """What is in a person's file; looked up where it was looked at before."""
    path = folder / f"{person.name}.json"
    try:
        return Sighting.from_json(json.loads(path.read_text()))
    except FileNotFoundError:
        sighting = look(person, options.frames, options.segments)
    # What could not be read may be there the next time. (What crashed never comes here.)
    if sighting.status != "unreadable":
        write(path, json.dumps(sighting.to_json()).encode())
    return sighting


def _crashed(person: Person) -> Sighting:
    return Sighting("crashed", f"{person.path}: the process that looked for faces in it died")


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


def _describe(output: Path, videos: Sequence[LabelledVideo], made_with: dict[str, Any]) -> None:
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
                "made_with": made_with,
            }
        ),
    )


def _csv(columns: Sequence[str], rows: Any) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    # File names are bytes, and not all are UTF-8.
    return text.getvalue().encode("utf-8", "surrogateescape")


def _json(values: dict[str, Any]) -> bytes:
    return (json.dumps(values, indent=2) + "\n").encode()
