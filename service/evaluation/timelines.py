"""The worst mistakes as pictures: what the network said of each face, clip by clip."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from service.evaluation.rows import ClipRow, ItemRow
from service.evaluation.tally import Tally
from service.plot import Bar, Lane, draw

_FACES = 3
"""Of one video: those with the highest scores of clips."""

_LONGEST = 60
"""Characters of a video's name."""


def timelines(rows: Sequence[ItemRow], tally: Tally) -> Figure:
    """One panel a video, its faces below each other, over the seconds of the video.

    Scores are the network's own, before calibration, so no threshold is drawn.
    """
    clips = tally.clips([row.id for row in rows])
    lanes = [_lanes(clips[row.id]) for row in rows]
    heights = [1 + max(1, len(each)) for each in lanes]
    figure = Figure(figsize=(9, 0.5 * sum(heights) + 0.6), layout="constrained")
    figure.suptitle("The worst mistakes: P(fake) of each clip, as the network gave it")
    panels = figure.subplots(len(rows), squeeze=False, height_ratios=heights).flat
    for axes, row, own in zip(panels, rows, lanes, strict=True):
        draw(axes, own, row.duration or 0.0, None)
        axes.set_title(_title(row), loc="left", fontsize=9, parse_math=False)
    return figure


def _lanes(faces: dict[int, list[ClipRow]]) -> list[Lane]:
    order = sorted(faces, key=lambda face: (-max(clip.raw_score for clip in faces[face]), face))
    return [
        Lane(f"face {face}", [Bar(clip.start, clip.end, clip.raw_score) for clip in faces[face]])
        for face in order[:_FACES]
    ]


def _title(row: ItemRow) -> str:
    name = row.id if len(row.id) <= _LONGEST else f"{row.id[: _LONGEST - 1]}…"
    return f"{name}: {row.label}, scored {row.score:.2f}"
