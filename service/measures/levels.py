"""From clips to faces and videos, by the service's own rule (``service.scoring``)."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from service.measures.table import ScoreTable
from service.scoring import ScoredClip, sustained

Level = Literal["clip", "face", "video"]

LEVELS: tuple[Level, ...] = get_args(Level)


def at_level(table: ScoreTable, level: Level) -> ScoreTable:
    """One row for every clip, face (a track of a video) or video of a table of clips.

    A face scores its worst sustained stretch, a video its worst face. The row of a face spans its
    clips; the row of a video is that of its worst face.
    """
    if level == "clip":
        return table
    faces = _faces(table)
    return faces if level == "face" else _worst(faces)


def _faces(table: ScoreTable) -> ScoreTable:
    ordered = table.take(np.lexsort((table.first_frame, table.track, table.video)))
    tracks = [ordered.take(rows) for rows in _groups(ordered.video, ordered.track)]
    rows = [
        (
            *(str(getattr(track, name)[0]) for name in _OF_THE_VIDEO),
            *(int(track.track[0]), int(track.first_frame[0]), int(track.last_frame[-1])),
            *(float(track.start[0]), float(track.end[-1])),
            sustained(_clips(track)),
        )
        for track in tracks
    ]
    return ScoreTable.of(rows)


def _worst(faces: ScoreTable) -> ScoreTable:
    # The highest score of a video comes last within it.
    ordered = faces.take(np.lexsort((faces.score, faces.video)))
    last = [rows[-1] for rows in _groups(ordered.video)]
    return ordered.take(np.array(last, dtype=np.intp))


_OF_THE_VIDEO = ("video", "people", "method", "label", "part")


def _groups(*columns: NDArray[np.generic]) -> list[NDArray[np.intp]]:
    """Indices of the runs of rows that are equal in all ``columns``."""
    length = len(columns[0])
    changes = np.zeros(max(length - 1, 0), dtype=np.bool_)
    for column in columns:
        changes |= column[1:] != column[:-1]
    return np.split(np.arange(length), np.flatnonzero(changes) + 1) if length else []


def _clips(track: ScoreTable) -> list[ScoredClip]:
    columns = (track.first_frame, track.last_frame, track.start, track.end)
    rows = zip(*(column.tolist() for column in (*columns, track.score)), strict=True)
    return [
        ScoredClip(first, last, start, end, boxes=(), raw=score)
        for first, last, start, end, score in rows
    ]
