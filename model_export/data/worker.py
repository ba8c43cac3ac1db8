"""One video from its file to its clips, cut by the service's own extraction."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from model_export.data.prepared import (
    Image,
    PreparedVideo,
    VideoClips,
    clips_path,
    write_clips,
)
from model_export.data.twins import difference
from model_export.data.video import LabelledVideo
from service.classifier.contract import Alignment
from service.clips import Clip, ClipCutter, ClipSpec
from service.errors import ServiceError
from service.extraction import Extracted, ExtractionLimits, extract
from service.faces.factory import Kind, load_detector
from service.faces.tracking import TrackedFace, TrackedFrame, TrackerSettings
from service.video.deadline import Deadline
from service.video.sampling import Plan
from service.video.video import Video

Faces = Literal["main", "track", "all"]
"""Whose clips are kept; see :class:`CutOptions`."""

OK = "ok"

_MEMORY = 2**32
"""Bytes of pixels that the clips of one video may take."""


@dataclass(frozen=True, slots=True)
class CutOptions:
    """How clips are cut: ``length`` frames of ``size`` x ``size`` pixels; ``margin`` and
    ``alignment`` as in ``ModelContract``, ``sampling`` as the service's.

    ``faces``: a dataset labels videos, not faces, and the label belongs to the main face.
    ``main`` takes in each window the track with the most clips (of equals the one with the largest
    face) and, where it is not there, the largest face: tracks break between sampled windows when
    a head moves. ``track`` takes that one track alone, for videos that cut between people; ``all``
    every face, where all were forged. ``seconds`` and ``bytes`` bound the work on a file and its
    size.
    """

    length: int = 5
    size: int = 240
    margin: float = 1.3
    alignment: Alignment = "per_frame"
    sampling: str = "paper"
    detector: Kind = "auto"
    detector_path: Path | None = None
    faces: Faces = "main"
    seconds: float = 600.0
    bytes: int = 2**31


@dataclass(frozen=True, slots=True)
class Job:
    """A video to prepare and the real one with the same frames, where the dataset has it."""

    video: LabelledVideo
    twin: LabelledVideo | None = None


class Unusable(Exception):
    """A video gives no clips. ``status`` is the row's stable code."""

    def __init__(self, status: str, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class StorageFailed(Exception):
    """What was cut cannot be written."""


class VideoCutter:
    """Prepares videos one after the other. Raises ``ModelError`` where the detector is missing."""

    def __init__(self, options: CutOptions, folder: Path) -> None:
        self._options, self._folder = options, folder
        self._detector = load_detector(options.detector, options.detector_path)
        size = options.size
        self._spec = ClipSpec(options.length, size, size, options.margin, options.alignment)
        # All clips of a video are held until its main face is known.
        self._limits = ExtractionLimits(clips=max(1, _MEMORY // (options.length * size * size * 3)))

    @property
    def detector(self) -> str:
        """The face detector's short name."""
        return self._detector.name

    def prepare(self, job: Job) -> PreparedVideo:
        """Write the video's clips and give its row; a video that cannot be used is a row too.

        Raises ``StorageFailed`` where the clips cannot be written.
        """
        began = time.monotonic()
        frames = 0
        clips: list[Clip] = []
        status, message, digest = OK, "", ""
        try:
            found, summary = self._extract(self._read(job.video))
            frames = summary.frames_decoded
            clips = self._chosen(found, summary)
            twin, message = self._twin(job, clips, summary)
            digest = self._write(job.video, clips, twin)
        except StorageFailed:
            raise
        except Exception as error:
            # One file of thousands must not end the work on the others, whatever is the matter.
            clips, status, message = [], _status(error), f"{_name(job.video)}: {_reason(error)}"
        seconds = time.monotonic() - began
        return PreparedVideo(job.video, status, message, len(clips), frames, seconds, digest)

    def _read(self, video: LabelledVideo) -> bytes:
        if "://" in video.location:
            raise Unusable("url_not_supported", "videos are read from files, not fetched")
        path = Path(video.location)
        try:
            if path.stat().st_size > self._options.bytes:
                raise Unusable("over_limits", f"larger than {self._options.bytes} bytes")
            return path.read_bytes()
        except FileNotFoundError as error:
            raise Unusable("missing_file", "the file is not there") from error
        except OSError as error:
            raise Unusable("unreadable", error.strerror or str(error)) from error

    def _extract(self, data: bytes) -> tuple[list[Clip], Extracted]:
        clips: list[Clip] = []
        for item in extract(
            data,
            (self._spec,),
            self._options.sampling,
            detector=self._detector,
            tracking=TrackerSettings(),
            limits=self._limits,
            deadline=self._deadline(),
        ):
            if isinstance(item, Extracted):
                return clips, item
            if isinstance(item, Clip):
                clips.append(item)
        raise AssertionError("extraction ends with its summary")

    def _chosen(self, clips: Sequence[Clip], summary: Extracted) -> list[Clip]:
        if summary.frames_in_video < self._spec.length:
            few = f"{summary.frames_in_video} frames, a clip has {self._spec.length}"
            raise Unusable("too_short", few)
        if not summary.frames_with_face:
            raise Unusable("no_face", f"no face in {summary.frames_decoded} frames")
        if not clips:
            raise Unusable("no_whole_clip", f"no face in all frames of a clip: {_dropped(summary)}")
        if self._options.faces == "all":
            return list(clips)
        return main_track(clips) if self._options.faces == "track" else main_face(clips)

    def _twin(
        self, job: Job, clips: Sequence[Clip], summary: Extracted
    ) -> tuple[Image | None, str]:
        """The same frames of the real video, or why there are none."""
        if job.video.twin is None:
            return None, ""
        if job.twin is None:
            return None, f"no twin: the dataset has no video {job.video.twin}"
        try:
            return self._cut_twin(self._read(job.twin), clips, summary), ""
        except (Unusable, ServiceError) as error:
            return None, f"no twin: {_name(job.twin)}: {_reason(error)}"

    def _cut_twin(self, data: bytes, clips: Sequence[Clip], summary: Extracted) -> Image:
        video = Video(data, self._limits.video, self._deadline())
        differs = difference(video, summary, clips)
        if differs:
            raise Unusable("twin", differs)
        plan = Plan("twin", self._spec.length, tuple(sorted({each.first_frame for each in clips})))
        cutter = ClipCutter(plan, (self._spec,), ends=video.ends, most=len(clips))
        frames = video.frames(plan.frames())
        faces = _faces(clips)
        tracked = (TrackedFrame(frame, tuple(faces[frame.index])) for frame in frames)
        cut = {_place(each): each for each in cutter.cut(tracked) if isinstance(each, Clip)}
        sizes = (video.width, video.height, summary.width, summary.height)
        if sizes[:2] != sizes[2:]:
            raise Unusable("twin", "is {}x{}, its forgery {}x{}".format(*sizes))
        if len(cut) < len(clips):
            raise Unusable("twin", "is damaged in the frames that are needed")
        return np.stack([cut[_place(each)].pixels for each in clips])

    def _write(self, video: LabelledVideo, clips: Sequence[Clip], twin: Image | None) -> str:
        try:
            return write_clips(as_arrays(clips, twin), clips_path(self._folder, video.id))
        except OSError as error:
            raise StorageFailed(error.strerror or str(error)) from error

    def _deadline(self) -> Deadline:
        deadline = Deadline(self._options.seconds)
        deadline.resume()
        return deadline


def main_track(clips: Sequence[Clip]) -> list[Clip]:
    """The clips of the track with the most of them, of equals the one whose face is largest."""
    tracks: defaultdict[int, list[Clip]] = defaultdict(list)
    for clip in clips:
        tracks[clip.track].append(clip)
    return max(tracks.values(), key=lambda own: (len(own), np.mean([_area(each) for each in own])))


def main_face(clips: Sequence[Clip]) -> list[Clip]:
    """A clip of every window: the main track's and, where it is not there, the largest face's."""
    main = main_track(clips)[0].track
    windows: defaultdict[int, list[Clip]] = defaultdict(list)
    for clip in clips:
        windows[clip.first_frame].append(clip)
    return [
        max(own, key=lambda each: (each.track == main, _area(each))) for own in windows.values()
    ]


def as_arrays(clips: Sequence[Clip], twin: Image | None) -> VideoClips:
    """Clips as they are stored."""
    return VideoClips(
        pixels=np.stack([each.pixels for each in clips]),
        track=np.array([each.track for each in clips], np.int32),
        first_frame=np.array([each.first_frame for each in clips], np.int32),
        last_frame=np.array([each.last_frame for each in clips], np.int32),
        start=np.array([each.start for each in clips], np.float64),
        end=np.array([each.end for each in clips], np.float64),
        boxes=np.array([each.boxes for each in clips], np.float32),
        twin=twin,
    )


def _area(clip: Clip) -> float:
    return float(np.mean([(x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in clip.boxes]))


def _faces(clips: Iterable[Clip]) -> defaultdict[int, list[TrackedFace]]:
    """The faces of clips by frame, as if they had just been tracked."""
    faces: defaultdict[int, list[TrackedFace]] = defaultdict(list)
    nowhere = np.zeros((5, 2), np.float32)
    for clip in clips:
        for frame, box in enumerate(clip.boxes, clip.first_frame):
            faces[frame].append(TrackedFace(clip.track, box, 1.0, nowhere, detected=False))
    return faces


def _place(clip: Clip) -> tuple[int, int]:
    return clip.track, clip.first_frame


def _dropped(summary: Extracted) -> str:
    reasons = Counter(summary.clips_dropped)
    return ", ".join(f"{reason} {count}" for reason, count in reasons.most_common()) or "none seen"


def _name(video: LabelledVideo) -> str:
    return video.location if "://" in video.location else Path(video.location).name


def _status(error: Exception) -> str:
    if isinstance(error, Unusable):
        return error.status
    return error.code if isinstance(error, ServiceError) else "failed"


def _reason(error: Exception) -> str:
    known = isinstance(error, Unusable | ServiceError)
    return str(error) if known else f"{type(error).__name__}: {error}"
