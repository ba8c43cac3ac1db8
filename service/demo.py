"""A demonstration clip made on the spot: six people, one forged face, no network, no file.

The photograph comes inside the InsightFace package. A slow pan and zoom makes a video of it, one
face is forged frame by frame with ``service.forge``, and the whole is encoded like any video.
These people are in no training data of this project.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from service.faces.detector import Box, Detection
from service.faces.factory import load_detector
from service.faces.geometry import overlaps
from service.forge import Donor, Family, forge
from service.report import Report
from service.video.encode import encode_video

FPS = 25
_WIDTH, _HEIGHT = 1280, 720

Image = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Demo:
    """``video`` is an MP4; ``forged_boxes`` where the forged face is in each frame, pixels."""

    video: bytes
    forged_boxes: tuple[Box, ...]

    def forged_face(self, report: Report) -> int | None:
        """Id of the reported face that is the forged one, from a report with every box; None
        where it was not found."""
        best, chosen = 0.0, None
        for face in report.faces:
            found = [each for each in face.boxes or () if each.frame < len(self.forged_boxes)]
            if not found:
                continue
            truth = np.array([self.forged_boxes[each.frame] for each in found])
            boxes = np.array([each.box for each in found])
            overlap = float(np.mean(np.diag(overlaps(boxes, truth))))
            if overlap > max(best, 0.3):
                best, chosen = overlap, face.id
        return chosen


def make_demo(
    *, seconds: float = 4.0, face: int = 2, family: Family = "swap", seed: int = 7
) -> Demo:
    """Make the clip; ``face`` counts the people from left to right, from 0."""
    photograph = group_photograph()
    detector = load_detector(kind="mtcnn")
    faces = sorted(detector.detect(photograph), key=lambda each: each.box[0])
    moves = _camera(round(seconds * FPS), photograph.shape[1], photograph.shape[0])
    frames = [_shot(photograph, move) for move in moves]
    forged, donor = faces[face], faces[(face + 3) % len(faces)]
    seen = [_moved(forged, move) for move in moves]
    clip = forge(
        frames,
        seen,
        np.random.default_rng(seed),
        family,
        Donor(frames, [_moved(donor, move) for move in moves]),
    )
    return Demo(
        encode_video(clip.frames, fps=FPS, options={"preset": "veryfast"}),
        tuple(each.box for each in seen),
    )


def group_photograph() -> Image:
    """Six people, uint8 (886, 1280, 3) RGB, from the InsightFace package's own files."""
    # Read as a file: importing insightface takes seconds and pulls in its model zoo.
    path = distribution("insightface").locate_file("insightface/data/images/t1.jpg")
    packed = Path(str(path)).read_bytes()
    rgb = cv2.imdecode(np.frombuffer(packed, np.uint8), cv2.IMREAD_COLOR_RGB)
    return np.asarray(rgb, dtype=np.uint8)


def _camera(count: int, width: int, height: int) -> list[NDArray[np.float64]]:
    """Affine matrices (2, 3) from the photograph to each frame: a slow pan and zoom."""
    moves = []
    for number in range(count):
        phase = number / max(1, count - 1)
        zoom = (1.01 + 0.03 * phase) * max(_WIDTH / width, _HEIGHT / height)
        x = width / 2 + 8 * math.sin(2 * math.pi * phase)
        y = height * (0.42 + 0.03 * phase)
        moves.append(
            np.array([[zoom, 0, _WIDTH / 2 - zoom * x], [0, zoom, _HEIGHT / 2 - zoom * y]])
        )
    return moves


def _shot(photograph: Image, move: NDArray[np.float64]) -> Image:
    shot = cv2.warpAffine(
        photograph, move, (_WIDTH, _HEIGHT), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(shot, dtype=np.uint8)


def _moved(face: Detection, move: NDArray[np.float64]) -> Detection:
    corners = np.array([face.box[:2], face.box[2:]]) @ move[:, :2].T + move[:, 2]
    x0, y0, x1, y1 = corners.ravel().tolist()
    landmarks = face.landmarks @ move[:, :2].T + move[:, 2]
    return Detection((x0, y0, x1, y1), face.score, landmarks.astype(np.float32))
