"""Clips: T consecutive crops of one face, the classifier's unit of work."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.classifier.contract import Alignment, ModelContract
from service.faces.crops import crop, union_box
from service.faces.detector import Box
from service.faces.tracking import TrackedFace, TrackedFrame
from service.video.sampling import Plan


@dataclass(frozen=True, slots=True)
class ClipSpec:
    """How a model wants its clips; ``margin`` and ``alignment`` as in ``ModelContract``."""

    length: int
    height: int
    width: int
    margin: float
    alignment: Alignment

    @classmethod
    def of(cls, contract: ModelContract) -> ClipSpec:
        """The clips this model was made for."""
        return cls(
            contract.clip_length,
            contract.input_height,
            contract.input_width,
            contract.crop_margin,
            contract.alignment,
        )


@dataclass(frozen=True, slots=True)
class Clip:
    """``pixels`` uint8 (T, H, W, 3) RGB of one track; ``start`` and ``end`` in seconds, ``end``
    being when the last frame disappears; ``boxes`` is the face's in each frame; ``spec`` the
    number of the ``ClipSpec`` it was cut by."""

    track: int
    first_frame: int
    last_frame: int
    start: float
    end: float
    boxes: tuple[Box, ...]
    pixels: NDArray[np.uint8]
    spec: int = 0


class ClipCutter:
    """Cuts the planned windows out of tracked frames.

    Windows are as long as the longest clip; a shorter one is cut as often as it fits, one after
    the other, so that all specs see the same windows. ``ends`` is float64 (frames,), when each
    frame of the video disappears, in seconds; ``most`` bounds the windows of all faces together.
    ``dropped`` counts, by reason, the windows of a face that could not become clips.
    """

    def __init__(
        self, plan: Plan, specs: Sequence[ClipSpec], *, ends: NDArray[np.float64], most: int
    ) -> None:
        self._starts, self._length = plan.starts, plan.length
        self._specs, self._ends, self._most = tuple(specs), ends, most
        self._places = [
            (number, at, at + spec.length)
            for number, spec in enumerate(self._specs)
            for at in range(0, plan.length - spec.length + 1, spec.length)
        ]
        """Of every clip of a window: its spec, its first frame and the one after its last."""
        self._made = 0
        self.dropped: Counter[str] = Counter()

    def cut(self, frames: Iterable[TrackedFrame]) -> Iterator[TrackedFrame | Clip]:
        """Pass every frame on and, after the last one of a window, its clips by track and spec."""
        window: list[TrackedFrame] = []
        current = -1
        for tracked in frames:
            place = bisect_right(self._starts, tracked.frame.index) - 1
            if place != current:
                self._abandon(window)
                window, current = [], place
            window.append(tracked)
            if place >= 0 and len(window) == self._length:
                yield from self._clips(window)
                window = []
            yield tracked
        self._abandon(window)

    def _abandon(self, window: Sequence[TrackedFrame]) -> None:
        """Frames of this window are damaged."""
        if self._starts and (faces := len(_tracks(window))):
            self.dropped["damaged_frame"] += faces

    def _clips(self, window: Sequence[TrackedFrame]) -> Iterator[Clip]:
        for track, faces in _tracks(window).items():
            if len(faces) < len(window):
                self.dropped["face_not_in_every_frame"] += 1
            elif self._made >= self._most:
                self.dropped["over_clip_limit"] += 1
            else:
                try:
                    clips = [
                        self._clip(track, number, window[at:to], faces[at:to])
                        for number, at, to in self._places
                    ]
                except ValueError:
                    self.dropped["face_outside_frame"] += 1
                else:
                    self._made += 1
                    yield from clips

    def _clip(
        self, track: int, number: int, window: Sequence[TrackedFrame], faces: Sequence[TrackedFace]
    ) -> Clip:
        spec = self._specs[number]
        boxes = tuple(face.box for face in faces)
        squares = (union_box(boxes),) * len(boxes) if spec.alignment == "clip" else boxes
        size = (spec.height, spec.width)
        first, last = window[0].frame, window[-1].frame
        return Clip(
            track=track,
            first_frame=first.index,
            last_frame=last.index,
            start=first.time,
            end=float(self._ends[last.index]),
            boxes=boxes,
            pixels=np.stack(
                [
                    crop(each.frame.picture, box, spec.margin, size)
                    for each, box in zip(window, squares, strict=True)
                ]
            ),
            spec=number,
        )


def _tracks(window: Sequence[TrackedFrame]) -> dict[int, list[TrackedFace]]:
    tracks: dict[int, list[TrackedFace]] = {}
    for tracked in window:
        for face in tracked.faces:
            tracks.setdefault(face.track, []).append(face)
    return tracks
