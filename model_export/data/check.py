"""What a dataset has, what it lacks, and whether it can be trained on, without decoding any of
it."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table
from rich.text import Text

from model_export.data.naming import is_url, shown, some
from model_export.data.reading import Collection, LeftOut, Reading
from model_export.data.split import Proof, prove_disjoint, require_classes
from model_export.data.video import PARTS, REAL, LabelledVideo, Part
from model_export.errors import DataError

GIGABYTE = 1e9


@dataclass(frozen=True, slots=True)
class Row:
    """The videos of one method in one part. ``gigabytes`` is None for addresses, whose size is not
    known."""

    part: Part
    method: str
    videos: int
    gigabytes: float | None
    people: int
    sources: int


@dataclass(frozen=True, slots=True)
class Report:
    """``errors`` make training impossible; ``notes`` are worth knowing."""

    layout: str
    rows: Sequence[Row]
    collections: Sequence[Collection]
    left_out: Sequence[LeftOut]
    proof: Proof
    errors: Sequence[str]
    notes: Sequence[str]


def check(reading: Reading) -> Report:
    """Count and weigh what was read. Raises ``DataError`` if two parts share somebody."""
    kinds: defaultdict[tuple[Part, str], list[LabelledVideo]] = defaultdict(list)
    for video in reading.videos:
        if video.part is not None:
            kinds[video.part, video.method].append(video)
    sizes = {video.id: _size(video.location) for video in reading.videos}
    rows = [
        Row(
            part=part,
            method=method,
            videos=len(videos),
            gigabytes=_gigabytes([sizes[video.id] for video in videos]),
            people=len({name for video in videos for name in video.people}),
            sources=len({name for video in videos for name in video.sources}),
        )
        for (part, method), videos in sorted(kinds.items(), key=lambda kind: _place(*kind[0]))
    ]
    locations = {video.id: video.location for video in reading.videos}
    empty = [location for id, location in locations.items() if sizes[id] == 0]
    gone = [
        location for id, location in locations.items() if sizes[id] is None and not is_url(location)
    ]
    return Report(
        layout=reading.layout,
        rows=rows,
        collections=reading.collections,
        left_out=reading.left_out,
        proof=prove_disjoint(reading.videos),
        errors=obstacles(reading.videos),
        notes=[*reading.notes, *_notes(reading.videos, empty, gone)],
    )


def obstacles(videos: Sequence[LabelledVideo]) -> list[str]:
    """What makes it impossible to train on these videos; nothing where all of them test."""
    if not videos:
        return ["there is no video"]
    if {video.part for video in videos} == {"test"}:
        return []
    try:
        require_classes(videos)
    except DataError as error:
        return [str(error)]
    return []


def show(report: Report, console: Console) -> None:
    """Print a report as tables."""
    console.print(_parts_table(report.rows))
    if report.collections:
        console.print(_collections_table(report.collections))
    if report.left_out:
        console.print(_left_out_table(report.left_out))
    proof = report.proof
    _say(
        console,
        f"No person and no source is in two parts: {proof.people:,} people and "
        f"{proof.sources:,} sources were compared.",
    )
    for note in report.notes:
        _say(console, note)
    for error in report.errors:
        _say(console, f"Nothing can be trained on this: {error}.", style="red")


def _place(part: Part, method: str) -> tuple[int, bool, str]:
    return PARTS.index(part), method != REAL, method


def _size(location: str) -> int | None:
    """Bytes; None for an address, and for a file that is not there: some readers go by names alone,
    and a link may lead nowhere."""
    try:
        return None if is_url(location) else os.path.getsize(location)
    except OSError:
        return None


def _gigabytes(sizes: Iterable[int | None]) -> float | None:
    known = [size for size in sizes if size is not None]
    return sum(known) / GIGABYTE if known else None


def _notes(videos: Iterable[LabelledVideo], empty: Sequence[str], gone: Sequence[str]) -> list[str]:
    labels: defaultdict[Part | None, Counter[str]] = defaultdict(Counter)
    for video in videos:
        labels[video.part][video.label] += 1
    notes = [
        f"{part}: {labels[part]['real']:,} real and {labels[part]['fake']:,} fake videos."
        for part in PARTS
        if part in labels
    ]
    if labels.keys() == {"test"}:
        notes.append("All videos are for testing: nothing is there to train on.")
    if "test" in labels and len(labels["test"]) == 1:
        notes.append("The test has one class: of the measures only recall means something there.")
    if empty:
        notes.append(f"{len(empty):,} files are empty: {some(empty)}.")
    if gone:
        notes.append(f"{len(gone):,} files are missing or cannot be read: {some(gone)}.")
    return notes


def _parts_table(rows: Iterable[Row]) -> Table:
    table = Table("part", "method", title="Videos to use", title_justify="left")
    for column in ("videos", "GB", "people", "sources"):
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(
            row.part,
            Text(shown(row.method)),
            f"{row.videos:,}",
            "" if row.gigabytes is None else f"{row.gigabytes:.2f}",
            f"{row.people:,}",
            f"{row.sources:,}",
        )
    return table


def _collections_table(collections: Iterable[Collection]) -> Table:
    table = Table("place", "method", title="Files found", title_justify="left")
    for column in ("found", "expected"):
        table.add_column(column, justify="right")
    table.add_column("missing", overflow="fold")
    for place in collections:
        lacks = (place.expected or 0) - place.found
        missing = some(place.missing) or (f"{lacks:,}" if lacks > 0 else "")
        expected = "" if place.expected is None else f"{place.expected:,}"
        table.add_row(
            Text(shown(place.name), overflow="fold"),
            Text(shown(place.method)),
            f"{place.found:,}",
            expected,
            Text(shown(missing), overflow="fold"),
        )
    return table


def _left_out_table(left_out: Iterable[LeftOut]) -> Table:
    table = Table("left out because", title="Files left out", title_justify="left")
    table.add_column("files", justify="right")
    table.add_column("by method", overflow="fold")
    table.add_column("for example", overflow="fold")
    reasons: defaultdict[str, list[LeftOut]] = defaultdict(list)
    for file in left_out:
        reasons[file.reason].append(file)
    for reason, files in sorted(reasons.items()):
        methods = Counter(file.method for file in files)
        table.add_row(
            reason,
            f"{len(files):,}",
            Text(shown(", ".join(f"{method} {count:,}" for method, count in methods.items()))),
            Text(shown(some(os.path.basename(file.location) for file in files))),
        )
    return table


def _say(console: Console, sentence: str, style: str | None = None) -> None:
    console.print(shown(sentence), style=style, markup=False, soft_wrap=True)
