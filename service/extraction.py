"""From bytes to clips: decode, detect, track, crop.

This is the part that touches hostile media, made to run in a process of its own later: what comes
out can be pickled, and frames never leave it, only small crops do.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from service.clips import Clip, ClipCutter, ClipSpec
from service.faces.detector import Box, FaceDetector
from service.faces.tracking import Tracker, TrackerSettings
from service.video.deadline import Deadline
from service.video.sampling import plan
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
    """How far extraction is, in seconds of video."""

    time: float
    duration: float


@dataclass(frozen=True, slots=True)
class Extracted:
    """The last thing extraction gives: what the video is and what of it was looked at."""

    container: str
    codec: str
    width: int
    height: int
    fps: float | None
    duration: float
    seconds_missing: float
    sampling: str
    frames_in_video: int
    frames_decoded: int
    frames_damaged: int
    frames_with_face: int
    faces_dropped: dict[str, int]
    clips_dropped: dict[str, int]
    tracks: dict[int, list[tuple[int, float, Box]]] = field(repr=False)
    """Frame index, time and box of every frame of every track."""


def extract(
    data: bytes,
    spec: ClipSpec,
    sampling: str,
    *,
    detector: FaceDetector,
    tracking: TrackerSettings,
    limits: ExtractionLimits,
    deadline: Deadline,
) -> Iterator[Position | Clip | Extracted]:
    """Yield positions and clips as they come and at the end one ``Extracted``.

    Raises what ``Video`` and ``plan`` raise, and ``TooSlow``.
    """
    video = Video(data, limits.video, deadline)
    yield Position(0.0, video.duration)
    windows = plan(
        video.times,
        spec.length,
        sampling,
        full_seconds=limits.full_seconds,
        auto_windows=limits.auto_windows,
        max_windows=limits.clips,
    )
    # A video shorter than one clip is still looked at, so that its faces can be reported.
    wanted = windows.frames() or range(len(video.times))
    tracker = Tracker(detector, tracking)
    cutter = ClipCutter(windows, spec, ends=video.ends, most=limits.clips)
    tracks: dict[int, list[tuple[int, float, Box]]] = {}
    with_face = seen = 0
    for item in cutter.cut(tracker.follow(video.frames(wanted))):
        if isinstance(item, Clip):
            yield item
            continue
        frame = item.frame
        for face in item.faces:
            tracks.setdefault(face.track, []).append((frame.index, frame.time, face.box))
        with_face += bool(item.faces)
        seen += 1
        if seen % _PROGRESS_FRAMES == 0:
            yield Position(frame.time, video.duration)
    yield Extracted(
        container=video.container,
        codec=video.codec,
        width=video.width,
        height=video.height,
        fps=video.fps,
        duration=video.duration,
        seconds_missing=video.seconds_missing,
        sampling=windows.sampling,
        frames_in_video=len(video.times),
        frames_decoded=video.frames_decoded,
        frames_damaged=video.frames_damaged,
        frames_with_face=with_face,
        faces_dropped=dict(tracker.dropped),
        clips_dropped=dict(cutter.dropped),
        tracks=tracks,
    )
