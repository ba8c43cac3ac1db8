"""Videos of real people as short runs of tracked frames, and who trains, validates and tests.

Everything here goes through the service's own decoder, detector and tracker, so that the network
sees in training what it is served.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from service.faces.crops import square, union_box
from service.faces.detector import Detection, FaceDetector
from service.faces.tracking import TrackedFace, Tracker, TrackerSettings
from service.video.deadline import Deadline
from service.video.video import Video, VideoLimits

Image = NDArray[np.uint8]
Part = Literal["train", "validation", "test"]

TEST_PEOPLE = 6
VALIDATION_PEOPLE = 3

SURROUNDINGS = 2.2
"""Side of the region that is kept around a face, over the longer side of its boxes."""

LARGEST_FACE = 280
"""Longer side of the face box, in pixels, to which larger faces are shrunk."""


@dataclass(frozen=True, slots=True)
class Run:
    """Consecutive frames with one face followed through all of them.

    ``frames`` uint8 (L, h, w, 3) RGB, the region around the face; ``faces`` in its pixels.
    """

    person: str
    frames: Image
    faces: tuple[Detection, ...]

    def scaled(self, factor: float) -> Run:
        """The same at ``factor`` (at most 1) times the size, in even numbers of pixels."""
        height, width = self.frames.shape[1:3]
        size = (_even(width * factor), _even(height * factor))
        if size == (width, height):
            return self
        stretch = np.array([size[0] / width, size[1] / height])
        frames = [cv2.resize(f, size, interpolation=cv2.INTER_AREA) for f in self.frames]
        faces = tuple(_moved(face, stretch, np.zeros(2)) for face in self.faces)
        return Run(self.person, np.asarray(frames, dtype=np.uint8), faces)

    def part(self, start: int, length: int) -> Run:
        """``length`` frames from ``start`` on."""
        stop = start + length
        return Run(self.person, self.frames[start:stop], self.faces[start:stop])

    @property
    def face_side(self) -> float:
        """Longer side of the box around all faces."""
        x0, y0, x1, y1 = union_box(face.box for face in self.faces)
        return max(x1 - x0, y1 - y0)


def split(people: Iterable[str]) -> dict[str, Part]:
    """Who is in which part, fixed by name: in ascending order of the SHA-256 of the names, the
    first ``TEST_PEOPLE`` test, the next ``VALIDATION_PEOPLE`` validate, the others train."""
    ordered = sorted(people, key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    parts: dict[str, Part] = {}
    for place, name in enumerate(ordered):
        if place < TEST_PEOPLE:
            parts[name] = "test"
        else:
            parts[name] = "validation" if place < TEST_PEOPLE + VALIDATION_PEOPLE else "train"
    return parts


def find_videos(folder: Path) -> dict[str, Path]:
    """Person (file name without suffix) to video file; one file is one person."""
    return {path.stem: path for path in sorted(folder.glob("*.mp4"))}


def read_runs(
    person: str, data: bytes, length: int, detector: FaceDetector, most: int
) -> Iterator[Run]:
    """At most ``most`` runs of ``length`` frames, spread evenly over a video in memory.

    Of several faces the largest is taken. Frames with less than all of it are skipped.
    """
    video = Video(data, VideoLimits(), Deadline(math.inf))
    starts = list(range(0, len(video.times) - length + 1, length))
    if len(starts) > most:
        starts = [starts[int(place)] for place in np.linspace(0, len(starts) - 1, most)]
    wanted = [index for start in starts for index in range(start, start + length)]
    chosen = frozenset(starts)
    images: list[Image] = []
    faces: list[TrackedFace] = []
    expected = 0
    for tracked in Tracker(detector, TrackerSettings()).follow(video.frames(wanted)):
        if tracked.frame.index in chosen or tracked.frame.index != expected:
            images, faces = [], []
        expected = tracked.frame.index + 1
        if tracked.faces:
            same = [each for each in tracked.faces if faces and each.track == faces[-1].track]
            images.append(tracked.frame.rgb)
            faces.append(same[0] if same else max(tracked.faces, key=_area))
        if len(faces) == length and len({face.track for face in faces}) == 1:
            yield _around(person, images, [Detection(f.box, f.score, f.landmarks) for f in faces])
            images, faces = [], []


def still_run(
    person: str, rgb: Image, face: Detection, length: int, rng: np.random.Generator
) -> Run:
    """A photograph as a run: the camera pans, turns and zooms a little, smoothly."""
    still = _around(person, [rgb], [face])
    image = still.frames[0]
    height, width = image.shape[:2]
    side = still.face_side
    speed = rng.normal(0, 0.004 * side, 2)
    turn, zoom, phase = rng.normal(0, 0.3), rng.normal(0, 0.003), rng.uniform(0, math.pi)
    frames, faces = [], []
    for index in range(length):
        step = math.sin(phase + 0.15 * index) * length / 2
        middle = (width / 2, height / 2)
        matrix = np.asarray(cv2.getRotationMatrix2D(middle, turn * step, 1 + zoom * step))
        matrix = matrix + np.array([[0, 0, speed[0] * step], [0, 0, speed[1] * step]])
        frames.append(cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REFLECT))
        points = still.faces[0].landmarks @ matrix[:, :2].T + matrix[:, 2]
        x0, y0, x1, y1 = still.faces[0].box
        centre = matrix[:, :2] @ [(x0 + x1) / 2, (y0 + y1) / 2] + matrix[:, 2]
        half = np.array([x1 - x0, y1 - y0]) / 2 * (1 + zoom * step)
        box = (centre[0] - half[0], centre[1] - half[1], centre[0] + half[0], centre[1] + half[1])
        faces.append(Detection(box, face.score, points.astype(np.float32)))
    return Run(person, np.asarray(frames, dtype=np.uint8), tuple(faces))


def _around(person: str, images: Sequence[Image], faces: Sequence[Detection]) -> Run:
    """The region around the face, at most ``LARGEST_FACE`` large."""
    x0, y0, x1, y1 = square(union_box(face.box for face in faces), SURROUNDINGS)
    height, width = images[0].shape[:2]
    left, top = max(0, round(x0)), max(0, round(y0))
    right = left + (min(width, round(x1)) - left) // 2 * 2
    bottom = top + (min(height, round(y1)) - top) // 2 * 2
    frames = np.stack([image[top:bottom, left:right] for image in images])
    corner = -np.array([left, top], dtype=np.float64)
    run = Run(person, frames, tuple(_moved(face, np.ones(2), corner) for face in faces))
    return run.scaled(min(1.0, LARGEST_FACE / run.face_side))


def _moved(face: Detection, stretch: NDArray[np.float64], shift: NDArray[np.float64]) -> Detection:
    corners = (np.asarray(face.box).reshape(2, 2) + shift) * stretch
    x0, y0, x1, y1 = (float(value) for value in corners.reshape(-1))
    points = ((face.landmarks + shift) * stretch).astype(np.float32)
    return Detection((x0, y0, x1, y1), face.score, points)


def _area(face: TrackedFace) -> float:
    return (face.box[2] - face.box[0]) * (face.box[3] - face.box[1])


def _even(value: float) -> int:
    return max(2, round(value / 2) * 2)
