"""Faces followed through a video, frame by frame in one pass.

Detecting every frame costs five times as much as it gains: faces move little in a sixth of a
second. So a run of consecutive frames is detected at its first frame, at every fifth and at its
last, and what lies between is interpolated. Where the two ends of such a stretch disagree (a face
came or went, moved far, or a cut lies between) every frame of it is detected.

A track is one appearance of one face, from entering to leaving or a cut. A face that is missed for
a moment in the same place stays one track; one that was away for longer comes back as a new track.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from service.faces.association import interpolate, pair_up
from service.faces.cuts import Thumbnail, scene_change, thumbnail
from service.faces.detector import Box, Detection, FaceDetector, detect_in
from service.video.frames import Frame


@dataclass(frozen=True, slots=True)
class TrackerSettings:
    """How faces are followed and which of them count."""

    detect_every: int = 5
    """Detect at least each n-th frame of a run; 1 detects all."""
    smallest_face: float = 40.0
    """Shorter side in pixels of the smallest face that counts: less leaves too little to judge."""
    least_score: float = 0.5
    most_faces: int = 16
    """The largest faces of a frame that count."""
    sure_score: float | None = None
    """A face seen only once becomes a track from this score on; others must be seen twice.
    None takes what the detector's own ``sure_score`` says, or 0.9."""
    same_face: float = 0.3
    """Least IoU of a track's last box and its next."""
    ends_agree: float = 0.5
    """Least IoU of a face's boxes at both ends of a stretch that is interpolated."""
    longest_absence: float = 0.5
    """Seconds a face may be missed and still be the same appearance."""
    longest_gap: float = 5.0
    """Seconds between two sampled runs over which a face in the same place is the same one."""
    cut_difference: float = 22.0
    """Mean change of grey levels (0 to 255) that is a cut; see :func:`scene_change`."""
    look_ahead: int = 10
    """Frames held back while a face is missed or unsure: bounds memory."""


@dataclass(frozen=True, slots=True)
class TrackedFace:
    """One face of a track in one frame.

    ``box`` and ``landmarks`` (float32 (5, 2)) are as in :class:`Detection`. ``detected`` is False
    where they are interpolated between two detections; ``score`` is then the lower of theirs.
    """

    track: int
    box: Box
    score: float
    landmarks: NDArray[np.float32]
    detected: bool


@dataclass(frozen=True, slots=True)
class TrackedFrame:
    """A frame with the faces that count, by ascending track number."""

    frame: Frame
    faces: tuple[TrackedFace, ...]


class Tracker:
    """Follows faces with one detector. ``dropped`` counts detections that did not count, by
    reason, over everything followed so far: ``too_small``, ``low_score``, ``too_many`` (more
    faces in the frame than are followed) and ``unconfirmed`` (unsure and never seen again)."""

    def __init__(
        self, detector: FaceDetector, settings: TrackerSettings = TrackerSettings()
    ) -> None:
        if settings.detect_every < 1:
            raise ValueError("detect_every must be at least 1")
        self.detector = detector
        self.settings = settings
        self.dropped: dict[str, int] = {}

    def follow(self, frames: Iterable[Frame]) -> Iterator[TrackedFrame]:
        """Yields every frame once, in order, as soon as its faces are settled.

        ``frames`` ascend by index, in runs of consecutive ones with gaps between; runs may be as
        short as one frame. No more than ``look_ahead`` + ``detect_every`` + 2 are held at a time.
        """
        state = _Pass(self)
        for frame, ends_run in _with_run_ends(frames):
            state.take(frame, ends_run)
            yield from state.settled()
        yield from state.rest()

    def count(self, reason: str, number: int) -> None:
        """Adds to ``dropped``."""
        if number:
            self.dropped[reason] = self.dropped.get(reason, 0) + number


@dataclass(slots=True, eq=False)
class _Track:
    slot: _Slot
    """Where it was last detected."""
    face: Detection
    number: int | None = None
    """None until it is confirmed."""
    hits: int = 0
    missed_since: float | None = None


@dataclass(slots=True, eq=False)
class _Slot:
    """A frame whose faces may still change."""

    frame: Frame
    thumb: Thumbnail
    run: int
    cut: bool
    """A cut lies before it."""
    faces: dict[_Track, tuple[Detection, bool]] = field(default_factory=dict)


class _Pass:
    """One pass over one video."""

    def __init__(self, tracker: Tracker) -> None:
        self.tracker = tracker
        self.settings = tracker.settings
        sure = self.settings.sure_score
        self.sure_score = sure if sure is not None else getattr(tracker.detector, "sure_score", 0.9)
        self.tracks: list[_Track] = []
        self.held: list[_Slot] = []
        self.undetected = 0
        """How many of the last held frames await the end of their stretch."""
        self.numbers = 0
        self.anchor: list[Detection] = []
        """What was seen at the last detected frame."""

    def take(self, frame: Frame, ends_run: bool) -> None:
        thumb = thumbnail(frame.picture)
        last = self.held[-1] if self.held else None
        starts_run = last is None or frame.index != last.frame.index + 1
        run = 0 if last is None else last.run + starts_run
        cut = last is not None and scene_change(last.thumb, thumb) > self.settings.cut_difference
        self.held.append(_Slot(frame, thumb, run, cut))
        self.undetected += 1
        if starts_run or ends_run or self.undetected >= self.settings.detect_every:
            self._close()

    def _close(self) -> None:
        """Ends a stretch: its last frame is detected, the others where they must be."""
        stretch = self.held[-self.undetected :]
        self.undetected = 0
        seen = self._detect(stretch[-1].frame)
        if any(slot.cut for slot in stretch) or not self._agree(self.anchor, seen):
            for slot in stretch[:-1]:
                self._observe(slot, self._detect(slot.frame))
        self._observe(stretch[-1], seen)
        self.anchor = seen

    def _detect(self, frame: Frame) -> list[Detection]:
        """What the detector sees and what of it counts, in its order."""
        settings, count = self.settings, self.tracker.count
        found = detect_in(frame.picture, self.tracker.detector)
        scored = [face for face in found if face.score >= settings.least_score]
        large = [face for face in scored if min(_size(face.box)) >= settings.smallest_face]
        largest = sorted(large, key=lambda face: -_size(face.box)[0] * _size(face.box)[1])
        kept = {id(face) for face in largest[: settings.most_faces]}
        count("low_score", len(found) - len(scored))
        count("too_small", len(scored) - len(large))
        count("too_many", len(large) - len(kept))
        return [face for face in large if id(face) in kept]

    def _agree(self, before: list[Detection], after: list[Detection]) -> bool:
        pairs = pair_up(before, after, self.settings.ends_agree)
        return len(pairs) == len(before) == len(after)

    def _observe(self, slot: _Slot, seen: list[Detection]) -> None:
        """Continues tracks with what was seen in one frame, begins and ends others."""
        self._expire(slot)
        pairs = pair_up([track.face for track in self.tracks], seen, self.settings.same_face)
        for index, track in enumerate(self.tracks):
            if index in pairs:
                self._continue(track, slot, seen[pairs[index]])
            elif track.missed_since is None:
                track.missed_since = slot.frame.time
        taken = set(pairs.values())
        for index, face in enumerate(seen):
            if index not in taken:
                track = _Track(slot, face)
                self.tracks.append(track)
                self._continue(track, slot, face)

    def _expire(self, slot: _Slot) -> None:
        """Ends the tracks that nothing in this frame can continue."""
        now = slot.frame.time
        alive = []
        for track in self.tracks:
            away = 0.0 if track.missed_since is None else now - track.missed_since
            gap = now - track.slot.frame.time
            lost = away > self.settings.longest_absence or gap > self.settings.longest_gap
            if slot.cut or lost:
                self._end(track)
            else:
                alive.append(track)
        self.tracks = alive

    def _end(self, track: _Track) -> None:
        if track.number is None:
            self.tracker.count("unconfirmed", track.hits)

    def _continue(self, track: _Track, slot: _Slot, face: Detection) -> None:
        """Adds a detection to a track and fills the frames since the one before."""
        start, end = track.slot.frame.index, slot.frame.index
        # All or nothing: half a hole filled would be a face that appears beside its own track.
        if track.slot.run == slot.run and self.held[0].frame.index <= start + 1:
            for between in self.held:
                index = between.frame.index
                if start < index < end:
                    share = (index - start) / (end - start)
                    between.faces[track] = (interpolate(track.face, face, share), False)
        slot.faces[track] = (face, True)
        track.slot, track.face, track.missed_since = slot, face, None
        track.hits += 1
        if track.number is None and (track.hits > 1 or face.score >= self.sure_score):
            track.number = self.numbers
            self.numbers += 1

    def settled(self) -> Iterator[TrackedFrame]:
        """Hands out what later frames cannot change, or may no longer."""
        # The last detected frame stays: what it alone has seen is confirmed by the next one,
        # and the next frame is compared with it.
        keep = self.undetected + 1
        for track in self.tracks:
            if track.missed_since is not None or track.number is None:
                waiting = sum(slot.frame.index >= track.slot.frame.index for slot in self.held)
                keep = max(keep, min(waiting, self.undetected + self.settings.look_ahead))
        ready = max(0, len(self.held) - keep)
        yield from map(_tracked, self.held[:ready])
        del self.held[:ready]

    def rest(self) -> Iterator[TrackedFrame]:
        for track in self.tracks:
            self._end(track)
        yield from map(_tracked, self.held)
        self.held.clear()


def _with_run_ends(frames: Iterable[Frame]) -> Iterator[tuple[Frame, bool]]:
    """Each frame, and whether the next one is not its successor."""
    last: Frame | None = None
    for frame in frames:
        if last is not None:
            yield last, frame.index != last.index + 1
        last = frame
    if last is not None:
        yield last, True


def _size(box: Box) -> tuple[float, float]:
    return box[2] - box[0], box[3] - box[1]


def _tracked(slot: _Slot) -> TrackedFrame:
    faces = [
        TrackedFace(track.number, face.box, face.score, face.landmarks, detected)
        for track, (face, detected) in slot.faces.items()
        if track.number is not None
    ]
    return TrackedFrame(slot.frame, tuple(sorted(faces, key=lambda face: face.track)))
