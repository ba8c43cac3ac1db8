"""Which clips of a prepared dataset are shown."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from model_export.data.prepared import PreparedDataset, PreparedVideo, VideoClips
from model_export.data.video import REAL, LabelledVideo, Part
from model_export.errors import DataError, EvaluationError
from service.measures.table import ScoreTable

Image = NDArray[np.uint8]

_Key = TypeVar("_Key")


@dataclass(frozen=True, slots=True)
class Selection:
    """``count`` clips of each method (None: all of them, ``real`` too) in ``part`` (None: any);
    or, where ``videos`` names some, of each of these, whatever their method and part."""

    part: Part | None = None
    methods: tuple[str, ...] | None = None
    videos: tuple[str, ...] | None = None
    count: int = 2
    seed: int = 0


@dataclass(frozen=True, slots=True)
class ChosenClip:
    """``pixels`` uint8 (T, S, S, 3) RGB, and ``twin`` like it, from ``start`` seconds on;
    ``score`` is P(fake), None where nobody scored it."""

    video: LabelledVideo
    start: float
    pixels: Image
    twin: Image | None = None
    score: float | None = None

    @property
    def caption(self) -> str:
        """What the clip is and how it was scored, in two or three lines."""
        method, label = self.video.method, self.video.label
        kind = label if method == label else f"{method}, {label}"
        lines = [self.video.id, f"{kind}, at {self.start:.1f} s"]
        return "\n".join(lines if self.score is None else [*lines, f"P(fake) {self.score:.2f}"])

    @property
    def mistake(self) -> float:
        """How far the score is from the truth, 0 to 1; 0 without a score."""
        return 0.0 if self.score is None else abs((self.video.label == "fake") - self.score)


def drawn_clips(dataset: PreparedDataset, selection: Selection) -> list[ChosenClip]:
    """Clips drawn at random, of as many different videos as there are; real ones come first.

    What is drawn of a method hangs on the seed alone, not on the other methods. Raises
    ``DataError`` where a method or a video has no clips.
    """
    picks = []
    for rows in _groups(dataset, selection).values():
        # Anew for each method: where all have the same sources, the same ones stand side by side.
        rng = np.random.default_rng(selection.seed)
        # Turn by turn every video gives one more of its clips.
        turns = sorted(
            (turn, place, int(row), int(clip))
            for place, row in enumerate(rng.permutation(len(rows)))
            for turn, clip in enumerate(rng.permutation(rows[row].clips)[: selection.count])
        )
        chosen = sorted((row, clip) for _, _, row, clip in turns[: selection.count])
        picks += [(rows[row], clip) for row, clip in chosen]
    return [_chosen(row.video, clips, index) for row, index, clips in _loaded(dataset, picks)]


def worst_clips(
    dataset: PreparedDataset, selection: Selection, table: ScoreTable
) -> list[ChosenClip]:
    """The clips whose scores are farthest from the truth, ``selection.count`` of each method.

    Raises ``DataError`` as ``drawn_clips`` does, ``EvaluationError`` where the table has none of
    the clips asked for, or clips that the dataset does not have.
    """
    picks = []
    for rows in _groups(dataset, selection).values():
        by_id = {row.video.id: row for row in rows}
        scored = table.take(np.isin(table.video, list(by_id)))
        worst = np.argsort(-np.abs(scored.fake - scored.score), kind="stable")
        worst = worst[: selection.count]
        picks += [
            (by_id[video], (track, first, score))
            for video, track, first, score in zip(
                *(
                    column[worst].tolist()
                    for column in (scored.video, scored.track, scored.first_frame, scored.score)
                ),
                strict=True,
            )
        ]
    if not picks:
        raise EvaluationError(f"the table has no scores of the clips asked for in {dataset.folder}")
    return [
        _chosen(row.video, clips, _index(row.video.id, clips, track, first), score)
        for row, (track, first, score), clips in _loaded(dataset, picks)
    ]


def _groups(dataset: PreparedDataset, selection: Selection) -> dict[str, list[PreparedVideo]]:
    """The videos to choose from, by method or, where videos are named, by video."""
    if selection.videos is not None:
        return {name: [_video(dataset, name)] for name in dict.fromkeys(selection.videos)}
    groups = {
        method: dataset.videos(selection.part, [method])
        for method in selection.methods or (REAL, *dataset.methods())
    }
    missing = [method for method, rows in groups.items() if not rows]
    if missing == list(groups) or (missing and selection.methods):
        where = f" in its {selection.part} part" if selection.part else ""
        raise DataError(f"{dataset.folder} has no clips of {', '.join(missing)}{where}")
    return {method: rows for method, rows in groups.items() if rows}


def _video(dataset: PreparedDataset, name: str) -> PreparedVideo:
    for row in dataset.rows:
        if row.video.id == name:
            if row.status != "ok":
                raise DataError(f"the video {name} has no clips: {row.message or row.status}")
            return row
    raise DataError(f"{dataset.folder} has no video {name}")


def _loaded(
    dataset: PreparedDataset, picks: Iterable[tuple[PreparedVideo, _Key]]
) -> Iterable[tuple[PreparedVideo, _Key, VideoClips]]:
    """The picks with the clips of their videos, video by video: each file is read once."""
    by_video: dict[str, list[tuple[PreparedVideo, _Key]]] = {}
    for row, key in picks:
        by_video.setdefault(row.video.id, []).append((row, key))
    for name, keys in by_video.items():
        clips = dataset.load(name)
        yield from ((row, key, clips) for row, key in keys)


def _chosen(
    video: LabelledVideo, clips: VideoClips, index: int, score: float | None = None
) -> ChosenClip:
    # Copies: a view would keep all clips of the video in memory.
    twin = None if clips.twin is None else clips.twin[index].copy()
    return ChosenClip(video, float(clips.start[index]), clips.pixels[index].copy(), twin, score)


def _index(video: str, clips: VideoClips, track: int, first_frame: int) -> int:
    (found,) = np.nonzero((clips.track == track) & (clips.first_frame == first_frame))
    if len(found) != 1:
        raise EvaluationError(
            f"the table scores a clip of {video} from frame {first_frame} on, of face {track}, "
            "which the dataset does not have: it is of clips cut in another way"
        )
    return int(found[0])
