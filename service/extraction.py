"""From bytes to clips: decode, detect, track, crop.

This is the part that touches hostile media. The service runs it in a process of its own
(``service.sandbox``): frames never leave it, only small crops and plain numbers do.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from service.clips import Clip, ClipCutter, ClipSpec
from service.errors import OverLimits
from service.faces.detector import FaceDetector
from service.faces.tracking import TrackedFace, Tracker, TrackerSettings
from service.video.deadline import Deadline
from service.video.frames import Frame
from service.video.readable import Readable
from service.video.sampling import plan, shown_within
from service.video.video import Video, VideoLimits

_PROGRESS_FRAMES = 10


@dataclass(frozen=True, slots=True)
class ExtractionLimits:
    """Bounds of one extraction; see ``service.settings`` for each."""

    video: VideoLimits = field(default_factory=VideoLimits)
    full_seconds: float = 60.0
    auto_windows: int = 400
    clips: int = 20_000


@dataclass(frozen=True, slots=True)
class Position:
    """How far extraction is, in seconds of video; ``duration`` is where it will end, ``frames`` how
    many frames will have been looked at by then."""

    time: float
    duration: float
    frames: int = 0


@dataclass(frozen=True, slots=True)
class TrackBoxes:
    """Where one face is: int32 (n,) frame indices, float64 (n,) their times in seconds and float32
    (n, 4) boxes; n is 0 where nobody asked for them."""

    frames: NDArray[np.int32]
    times: NDArray[np.float64]
    boxes: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Extracted:
    """The last thing extraction gives: what the video is and what of it was looked at."""

    container: str
    codec: str
    width: int
    height: int
    fps: float | None
    duration: float
    range: tuple[float, float]
    """The seconds of the video that were asked for; what follows is about them alone."""
    seconds_missing: float
    sampling: str
    frames_in_video: int
    frames_decoded: int
    frames_damaged: int
    frames_with_face: int
    faces_dropped: dict[str, int]
    clips_dropped: dict[str, int]
    tracks_seen: int
    """Faces that were followed; those that gave no clip as well."""
    tracks: dict[int, TrackBoxes] = field(repr=False)
    """Of those that gave clips."""


def extract(
    media: bytes | Readable,
    specs: Sequence[ClipSpec],
    sampling: str,
    *,
    start: float | None = None,
    end: float | None = None,
    boxes: bool = True,
    detector: FaceDetector,
    tracking: TrackerSettings,
    limits: ExtractionLimits,
    deadline: Deadline,
) -> Iterator[Position | Clip | Extracted]:
    """Yield positions and clips as they come and at the end one ``Extracted``.

    Only frames from ``start`` to before ``end`` (seconds) are looked at. ``boxes`` says whether
    every frame's boxes are wanted at the end. Raises what ``Video`` and ``plan`` raise,
    ``TooSlow``, and ``OverLimits`` where the memory does not suffice.
    """
    try:
        yield from _extract(
            Video(media, limits.video, deadline),
            specs,
            sampling,
            detector=detector,
            tracking=tracking,
            limits=limits,
            start=start,
            end=end,
            boxes=boxes,
        )
    except MemoryError:
        raise OverLimits("reading the video takes more memory than is allowed") from None


def _extract(
    video: Video,
    specs: Sequence[ClipSpec],
    sampling: str,
    *,
    detector: FaceDetector,
    tracking: TrackerSettings,
    limits: ExtractionLimits,
    start: float | None,
    end: float | None,
    boxes: bool,
) -> Iterator[Position | Clip | Extracted]:
    shown = shown_within(video.times, video.duration, start, end)
    since, until = start or 0.0, min(video.duration, video.duration if end is None else end)
    windows = plan(
        video.times,
        max(spec.length for spec in specs),
        sampling,
        full_seconds=limits.full_seconds,
        auto_windows=limits.auto_windows,
        max_windows=limits.clips,
        frames=shown,
    )
    # A video shorter than one clip is still looked at, so that its faces can be reported.
    wanted = windows.frames() or shown
    yield Position(since, until, len(wanted))
    tracker = Tracker(detector, tracking)
    cutter = ClipCutter(windows, specs, ends=video.ends, most=limits.clips)
    tracks: dict[int, _Path] = {}
    cut: set[int] = set()
    with_face = seen = 0
    for item in cutter.cut(tracker.follow(video.frames(wanted))):
        if isinstance(item, Clip):
            cut.add(item.track)
            yield item
            continue
        frame = item.frame
        for face in item.faces:
            path = tracks.setdefault(face.track, _Path())
            if boxes:
                path.add(frame, face)
        with_face += bool(item.faces)
        seen += 1
        if seen % _PROGRESS_FRAMES == 0:
            yield Position(frame.time, until, len(wanted))
    yield Extracted(
        container=video.container,
        codec=video.codec,
        width=video.width,
        height=video.height,
        fps=video.fps,
        duration=video.duration,
        range=(since, until),
        seconds_missing=_missing(video, end),
        sampling=windows.sampling,
        frames_in_video=len(video.times),
        frames_decoded=video.frames_decoded,
        frames_damaged=video.frames_damaged,
        frames_with_face=with_face,
        faces_dropped=dict(tracker.dropped),
        clips_dropped=dict(cutter.dropped),
        tracks_seen=len(tracks),
        tracks={track: path.arrays() for track, path in tracks.items() if track in cut},
    )


class _Path:
    """A track as it grows: 28 bytes a frame, hours of video in little memory."""

    def __init__(self) -> None:
        self._frames, self._times, self._boxes = array("i"), array("d"), array("f")

    def add(self, frame: Frame, face: TrackedFace) -> None:
        self._frames.append(frame.index)
        self._times.append(frame.time)
        self._boxes.extend(face.box)

    def arrays(self) -> TrackBoxes:
        return TrackBoxes(
            np.asarray(self._frames, np.int32),
            np.asarray(self._times, np.float64),
            np.asarray(self._boxes, np.float32).reshape(-1, 4),
        )


def _missing(video: Video, end: float | None) -> float:
    """Seconds before ``end`` that the file announces and does not hold."""
    if end is None:
        return video.seconds_missing
    return max(0.0, min(video.seconds_missing, end - video.duration))
