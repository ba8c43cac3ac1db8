"""Stretches of a video with one face followed through every frame: found once, read when needed.

Found and followed by the service's own decoder, detector and tracker. Photographs give stretches
too: the camera moves over them.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from model_export.synthetic.people import Person, generator
from service.errors import ServiceError, Undecodable
from service.faces.crops import square, union_box
from service.faces.detector import Box, Detection
from service.faces.mtcnn import MTCNN
from service.faces.tracking import TrackedFace, Tracker, TrackerSettings
from service.video.deadline import Deadline
from service.video.video import Video, VideoLimits

Image = NDArray[np.uint8]

SURROUNDINGS = 2.2
"""Side of the region that is kept around a face, over the longer side of the box around its
boxes."""

LARGEST_FACE = 240.0
"""Longer side of that box, in pixels, to which larger faces are shrunk."""

PHOTOGRAPH_RATE = 25
"""Frames a second of the clips that are made of photographs."""


@dataclass(frozen=True, slots=True)
class Found:
    """A stretch in a person's file: its number there, first frame, rate in frames a second, and
    the face in each frame as x0, y0, x1, y1 and five landmarks (x, y), in pixels of the file. A
    photograph has the one face."""

    number: int
    start: int
    rate: int
    faces: tuple[tuple[float, ...], ...]

    def detections(self) -> list[Detection]:
        """The faces as the tracker gave them."""
        return [
            Detection(
                (face[0], face[1], face[2], face[3]),
                1.0,
                np.array(face[4:], dtype=np.float32).reshape(5, 2),
            )
            for face in self.faces
        ]


@dataclass(frozen=True, slots=True)
class Sighting:
    """What was found in one file. ``status`` is ``ok`` or why there is nothing: ``unreadable``,
    ``too_short``, ``no_face``, ``crashed`` or the service's code of what is wrong with a video."""

    status: str
    message: str
    found: tuple[Found, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain values; floats survive exactly."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Sighting:
        """What ``to_json`` gave."""
        found = tuple(
            Found(**{**each, "faces": tuple(tuple(face) for face in each["faces"])})
            for each in values["found"]
        )
        return cls(values["status"], values["message"], found)


@dataclass(frozen=True, slots=True)
class Segment:
    """``frames`` uint8 (L, h, w, 3) RGB, even sizes: the region around a face; ``faces``, one for
    each frame, in its pixels."""

    frames: Image
    faces: tuple[Detection, ...]

    @property
    def face_side(self) -> float:
        """Longer side of the box around all faces, in pixels."""
        x0, y0, x1, y1 = union_box(face.box for face in self.faces)
        return max(x1 - x0, y1 - y0)


class Unusable(Exception):
    """A file gives no stretch. The text names it; ``status`` is as in ``Sighting``."""

    def __init__(self, status: str, reason: str) -> None:
        super().__init__(reason)
        self.status = status


def look(person: Person, frames: int, most: int) -> Sighting:
    """At most ``most`` stretches of ``frames`` frames, spread over a person's file. Of several
    faces the largest is followed."""
    try:
        with _named(person):
            if person.is_photograph:
                return _look_at_photograph(person, most)
            video = Video(person.path.read_bytes(), VideoLimits(), Deadline(math.inf))
            if len(video.times) < frames:
                return Sighting("too_short", f"{person.path} has only {len(video.times)} frames")
            found = tuple(_stretches(video, frames, most))
    except Unusable as error:
        return Sighting(error.status, str(error))
    if not found:
        return Sighting("no_face", f"{person.path}: no face stays for {frames} frames")
    return Sighting("ok", "", found)


def read(person: Person, found: Found, frames: int, side: float = LARGEST_FACE) -> Segment:
    """The frames of a stretch, its face at most ``side`` pixels large. Raises ``Unusable`` should
    the file have changed since ``look``."""
    with _named(person):
        if person.is_photograph:
            return _move_camera(person, found, frames, side)
        video = Video(person.path.read_bytes(), VideoLimits(), Deadline(math.inf))
        images = (each.rgb for each in video.frames(range(found.start, found.start + frames)))
        return _around(images, found.detections(), side)


@contextmanager
def _named(person: Person) -> Iterator[None]:
    """Whoever finds something wrong with a file does not know whose it is."""
    try:
        yield
    except OSError as error:
        raise Unusable("unreadable", f"{person.path} cannot be read: {error.strerror}") from error
    except ServiceError as error:
        raise Unusable(error.code, f"{person.path}: {error.detail}") from error
    except cv2.error as error:
        raise Unusable("undecodable", f"{person.path}: OpenCV refuses it ({error.err})") from error


def _stretches(video: Video, frames: int, most: int) -> Iterator[Found]:
    """Those far from each other are tried first, others until there are enough."""
    untried = list(range(0, len(video.times) - frames + 1, frames))
    faces: dict[int, Sequence[TrackedFace]] = {}
    while untried and len(faces) < most:
        wanted = min(most - len(faces), len(untried))
        starts = [untried[int(at)] for at in np.linspace(0, len(untried) - 1, wanted)]
        untried = [start for start in untried if start not in starts]
        faces.update(_follow(video, starts, frames))
    rate = min(60, max(10, round(video.fps or 25)))
    for number, start in enumerate(sorted(faces)):
        yield Found(number, start, rate, tuple(map(_plain, faces[start])))


def _follow(
    video: Video, starts: Sequence[int], frames: int
) -> Iterator[tuple[int, Sequence[TrackedFace]]]:
    """The stretches, of those that begin at ``starts``, with one face in every frame."""
    wanted = [index for start in starts for index in range(start, start + frames)]
    seen: dict[int, list[TrackedFace]] = {start: [] for start in starts}
    for tracked in Tracker(_detector(), TrackerSettings()).follow(video.frames(wanted)):
        index = tracked.frame.index
        faces = seen[max(start for start in starts if start <= index)]
        same = [each for each in tracked.faces if faces and each.track == faces[-1].track]
        if same or (tracked.faces and not faces):
            faces.append(same[0] if same else max(tracked.faces, key=lambda face: _area(face.box)))
    for start, faces in seen.items():
        if len(faces) == frames:
            yield start, faces


def _look_at_photograph(person: Person, most: int) -> Sighting:
    picture = _picture(person.path)
    faces = _detector().detect(picture)
    if not faces:
        return Sighting("no_face", f"{person.path}: no face")
    face = _plain(max(faces, key=lambda face: _area(face.box)))
    found = tuple(Found(number, 0, PHOTOGRAPH_RATE, (face,)) for number in range(most))
    return Sighting("ok", "", found)


def _move_camera(person: Person, found: Found, frames: int, side: float) -> Segment:
    """The camera pans, turns and zooms a little, smoothly, over a photograph."""
    picture = _picture(person.path)
    still = _around([picture], found.detections(), side)
    image, face = still.frames[0], still.faces[0]
    height, width = image.shape[:2]
    rng = generator(found.number, person.name)
    pan = rng.normal(0, 0.04 * still.face_side, 2)
    turn, zoom, phase = rng.normal(0, 3.0), rng.normal(0, 0.04), rng.uniform(0, 2 * math.pi)
    images, faces = [], []
    for index in range(frames):
        swing = math.sin(phase + 0.1 * index)
        scale = 1 + zoom * swing
        matrix = np.asarray(
            cv2.getRotationMatrix2D((width / 2, height / 2), turn * swing, scale), np.float64
        )
        matrix[:, 2] += pan * swing
        shot = cv2.warpAffine(
            image, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT
        )
        images.append(shot)
        faces.append(_turned(face, matrix, scale))
    return Segment(np.asarray(images, dtype=np.uint8), tuple(faces))


def _around(images: Iterable[Image], faces: Sequence[Detection], side: float) -> Segment:
    """The region around the face in each image, shrunk so that the face is ``side`` large."""
    x0, y0, x1, y1 = union_box(face.box for face in faces)
    shrink = min(1.0, side / max(x1 - x0, y1 - y0))
    region = square((x0, y0, x1, y1), SURROUNDINGS)
    parts = []
    for image in images:
        height, width = image.shape[:2]
        left, top = max(0, round(region[0])), max(0, round(region[1]))
        right, bottom = min(width, round(region[2])), min(height, round(region[3]))
        size = (_even((right - left) * shrink), _even((bottom - top) * shrink))
        part = image[top:bottom, left:right]
        parts.append(cv2.resize(part, size, interpolation=cv2.INTER_AREA))
    stretch = np.array([size[0] / (right - left), size[1] / (bottom - top)])
    corner = np.array([left, top])
    return Segment(
        np.asarray(parts, dtype=np.uint8),
        tuple(_moved(face, stretch, -corner * stretch) for face in faces),
    )


def _moved(face: Detection, stretch: NDArray[np.float64], shift: NDArray[np.float64]) -> Detection:
    x0, y0, x1, y1 = (np.reshape(face.box, (2, 2)) * stretch + shift).ravel().tolist()
    points = (face.landmarks * stretch + shift).astype(np.float32)
    return Detection((x0, y0, x1, y1), face.score, points)


def _turned(face: Detection, matrix: NDArray[np.float64], zoom: float) -> Detection:
    """The box keeps upright: its middle goes along and its size is zoomed."""
    x0, y0, x1, y1 = face.box
    x, y = matrix[:, :2] @ [(x0 + x1) / 2, (y0 + y1) / 2] + matrix[:, 2]
    half_width, half_height = (x1 - x0) / 2 * zoom, (y1 - y0) / 2 * zoom
    points = (face.landmarks @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)
    box = (x - half_width, y - half_height, x + half_width, y + half_height)
    return Detection((box[0], box[1], box[2], box[3]), face.score, points)


def _picture(path: Path) -> Image:
    data = np.frombuffer(path.read_bytes(), np.uint8)
    # Of no bytes OpenCV would say that an assertion failed.
    rgb = cv2.imdecode(data, cv2.IMREAD_COLOR_RGB) if data.size else None
    if rgb is None:
        raise Undecodable("this is not a picture")
    return np.asarray(rgb, dtype=np.uint8)


@functools.cache
def _detector() -> MTCNN:
    """One a process."""
    return MTCNN()


def _plain(face: TrackedFace | Detection) -> tuple[float, ...]:
    return (*map(float, face.box), *face.landmarks.ravel().tolist())


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _even(value: float) -> int:
    return max(2, round(value / 2) * 2)
