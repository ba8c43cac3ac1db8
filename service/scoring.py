"""How clip scores become segment, face and video scores, and scores become verdicts.

One rule at every level, on the network's raw probabilities; calibration comes after:

- A **segment** (adjacent clips, together at most one second) scores the mean of its clips: half a
  second to a second is the finest grain at which single-clip noise has averaged out.
- A **face** scores its worst sustained stretch. A stretch ends with some clip and reaches back
  over its predecessors just until it lasts ``SUSTAINED_SECONDS`` and holds ``SUSTAINED_CLIPS``; the
  highest mean over a stretch counts, or the mean of all clips where there are too few for one.
  Often only part of a video is forged, so a mean over everything would hide it; a plain maximum
  would call every long video fake for one noisy clip.
- A **video** scores its worst face: one forged face among five makes it fake.

Because a face takes a maximum over runs, the operating point should be calibrated on face scores.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from service.classifier.contract import OperatingPoint
from service.faces.detector import Box
from service.report import FaceVerdict, Verdict

SEGMENT_SECONDS = 1.0
SUSTAINED_SECONDS = 2.0
SUSTAINED_CLIPS = 6
_EDGE = 1e-6


@dataclass(frozen=True, slots=True)
class ScoredClip:
    """A clip without its pixels; ``raw`` is the network's P(fake), ``boxes`` the face's in each
    frame. Times in seconds."""

    first_frame: int
    last_frame: int
    start: float
    end: float
    boxes: tuple[Box, ...]
    raw: float


def calibrate(raw: float, point: OperatingPoint) -> float:
    """sigmoid(scale * logit(raw) + offset); the identity where nothing is calibrated."""
    if point.scale == 1.0 and point.offset == 0.0:
        return raw
    clipped = min(max(raw, 1e-7), 1 - 1e-7)
    logit = math.log(clipped / (1 - clipped))
    # tanh, unlike exp, overflows for no slope that an operating point may have.
    return 0.5 + 0.5 * math.tanh((point.scale * logit + point.offset) / 2)


def verdict(score: float, point: OperatingPoint) -> FaceVerdict:
    """Where a calibrated score falls on the operating point."""
    if point.abstain is not None:
        return "uncertain"
    if score >= point.uncertain_high:
        return "fake"
    return "real" if score < point.uncertain_low else "uncertain"


def segments(clips: Sequence[ScoredClip]) -> list[list[ScoredClip]]:
    """Group one track's clips, ascending in time, into segments."""
    groups: list[list[ScoredClip]] = []
    for clip in clips:
        group = groups[-1] if groups else None
        if (
            group is not None
            and clip.first_frame == group[-1].last_frame + 1
            and clip.end - group[0].start <= SEGMENT_SECONDS + _EDGE
        ):
            group.append(clip)
        else:
            groups.append([clip])
    return groups


def mean(clips: Sequence[ScoredClip]) -> float:
    """Mean raw score."""
    return float(np.mean([clip.raw for clip in clips]))


def sustained(clips: Sequence[ScoredClip]) -> float:
    """Raw score of one face from its clips, ascending in time: its worst sustained stretch."""
    sums = np.concatenate([[0.0], np.cumsum([clip.raw for clip in clips])])
    best: float | None = None
    first = 0
    for last, clip in enumerate(clips):
        # The shortest run ending here that is long enough in both time and clips.
        while (
            last - first >= SUSTAINED_CLIPS
            and clip.end - clips[first + 1].start >= SUSTAINED_SECONDS - _EDGE
        ):
            first += 1
        count = last - first + 1
        if count >= SUSTAINED_CLIPS and clip.end - clips[first].start >= SUSTAINED_SECONDS - _EDGE:
            run = float(sums[last + 1] - sums[first]) / count
            best = run if best is None else max(best, run)
    return float(sums[-1]) / len(clips) if best is None else best


def middle_box(clips: Sequence[ScoredClip]) -> Box:
    """The face's box in the middle frame of a segment."""
    middle = (clips[0].first_frame + clips[-1].last_frame) // 2
    clip = next(each for each in clips if middle <= each.last_frame)
    return clip.boxes[middle - clip.first_frame]


def video_verdict(faces: Sequence[FaceVerdict], *, any_face_seen: bool) -> Verdict:
    """The worst face decides; without a scored face it is ``no_face`` or ``unable``."""
    for level in ("fake", "uncertain", "real"):
        if level in faces:
            return level
    return "unable" if any_face_seen else "no_face"


def longest_gap(intervals: Sequence[tuple[float, float]], duration: float) -> float:
    """Seconds of the longest stretch of a video that lies in none of the intervals."""
    longest = reached = 0.0
    for start, end in sorted(intervals):
        longest = max(longest, start - reached)
        reached = max(reached, end)
    return max(longest, duration - reached, 0.0)
