"""What has been scored of a video so far: clips of each member, windows of all together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from service import scoring
from service.batching.batcher import Scored
from service.registry import Panel
from service.scoring import ScoredClip

Windows = dict[int, list[ScoredClip]]
"""By track, ascending in time."""


class Findings:
    """Scores of one video by one panel.

    ``clips`` are what segments, faces and the video are scored from. Of a single model they are
    its clips. Of an ensemble they are windows as long as its longest member's clips: a member with
    shorter ones scores a window by their mean, and the members' calibrated scores of a window are
    combined by the ensemble's rule. ``parts`` holds the members' own windows. ``mapper`` is the
    member whose class activation maps are shown, None without one: the first that has maps and
    clips as long as a window; ``cams`` holds, per track and first frame of a clip, the mean raw map
    over its frames, float32 (h, w).
    """

    def __init__(self, panel: Panel) -> None:
        self._panel = panel
        lengths = [each.served.contract.clip_length for each in panel.members]
        self._clips_in_window = [max(lengths) // length for length in lengths]
        self._unfinished: list[dict[int, list[ScoredClip]]] = [{} for _ in panel.members]
        self._longest = self._clips_in_window.index(1)
        self.mapper: int | None = next(
            (
                number
                for number, each in enumerate(panel.members)
                if each.classifier.has_cam and self._clips_in_window[number] == 1
            ),
            None,
        )
        self.parts: list[Windows] = [{} for _ in panel.members]
        self.clips: Windows = {}
        self.cams: dict[tuple[int, int], NDArray[np.float32]] = {}
        self._count = 0
        self.seconds = 0.0
        """Of the device's time that went into this video."""

    @property
    def count(self) -> int:
        """Clips, or windows of an ensemble, that have their score."""
        return self._count

    def add(self, member: int, scored: Sequence[Scored]) -> set[int]:
        """Keep the scores of some clips by one member, in the order of the video, and let their
        pixels go. Gives the tracks that have another window in ``clips``."""
        grown = set()
        for each in scored:
            clip = each.clip
            self.seconds += each.seconds
            kept = ScoredClip(
                clip.first_frame, clip.last_frame, clip.start, clip.end, clip.boxes, each.fake
            )
            if self._keep(member, clip.track, kept):
                grown.add(clip.track)
            if each.cam is not None and member == self.mapper:
                self.cams[clip.track, clip.first_frame] = each.cam.mean(axis=0)
        return grown

    def _keep(self, member: int, track: int, clip: ScoredClip) -> bool:
        """Whether that completed a window of all members."""
        group = self._unfinished[member].setdefault(track, [])
        group.append(clip)
        if len(group) < self._clips_in_window[member]:
            return False
        del self._unfinished[member][track]
        self.parts[member].setdefault(track, []).append(_window(group))
        return self._combine(track)

    def _combine(self, track: int) -> bool:
        """Take the next window of a track in once all members have scored it."""
        place = len(self.clips.get(track, ()))
        own = [windows.get(track, ()) for windows in self.parts]
        if any(len(windows) <= place for windows in own):
            return False
        window = own[self._longest][place]
        if self._panel.rule is not None:
            raw = self.combined([windows[place].raw for windows in own])
            window = replace(window, raw=raw)
        self.clips.setdefault(track, []).append(window)
        self._count += 1
        return True

    def combined(self, raws: Sequence[float]) -> float:
        """The members' raw scores of one thing as one number, by the ensemble's rule."""
        scores = [
            scoring.calibrate(raw, each.served.contract.operating_point)
            for raw, each in zip(raws, self._panel.members, strict=True)
        ]
        return max(scores) if self._panel.rule == "max" else float(np.mean(scores))


def _window(clips: Sequence[ScoredClip]) -> ScoredClip:
    """Consecutive clips as one."""
    if len(clips) == 1:
        return clips[0]
    return ScoredClip(
        clips[0].first_frame,
        clips[-1].last_frame,
        clips[0].start,
        clips[-1].end,
        tuple(box for clip in clips for box in clip.boxes),
        scoring.mean(clips),
    )
