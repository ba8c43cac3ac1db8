"""The embedded face detector: MTCNN, the detector of the papers, on ONNX Runtime.

Zhang et al. 2016, "Joint Face Detection and Alignment using Multi-task Cascaded Convolutional
Networks". P-Net slides over a pyramid of the frame and proposes boxes, R-Net and O-Net judge and
refine them, O-Net adds the landmarks. Weights and conventions: :mod:`service.faces.mtcnn_graphs`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from service.faces.detector import Detection
from service.faces.geometry import Floats, suppress
from service.faces.mtcnn_graphs import SIDE, Network, build
from service.runtime import open_session

Boxes = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class MTCNNSettings:
    """How thoroughly to look. Thresholds are probabilities, overlaps IoU."""

    long_side: int = 640
    """Frames with a longer side are shrunk to it; smaller ones are left as they are."""
    smallest_face: int = 40
    """Side in pixels, after that shrinking, of the smallest face that is sought."""
    pyramid_step: float = 0.709
    """Size of each pyramid level relative to the one before: half the area."""
    thresholds: tuple[float, float, float] = (0.6, 0.7, 0.8)
    """Least face probability after P-Net, R-Net and O-Net."""
    most_proposals: int = 1000
    """Best P-Net boxes that go on: bounds time and memory on frames made to look like faces."""
    threads: int = 1


class MTCNN:
    """Face detector; safe to call from several threads."""

    sure_score = 0.9
    """From here on a single detection is trusted by itself; see ``TrackerSettings``."""

    def __init__(self, settings: MTCNNSettings = MTCNNSettings()) -> None:
        if settings.smallest_face < SIDE["pnet"]:
            raise ValueError(f"smallest_face must be at least {SIDE['pnet']}")
        self.settings = settings
        self.longest_side = settings.long_side
        """See ``detect_in``."""
        self._sessions = {
            network: open_session(build(network), threads=settings.threads) for network in SIDE
        }

    @property
    def name(self) -> str:
        """``mtcnn``."""
        return "mtcnn"

    def detect(self, rgb: NDArray[np.uint8]) -> list[Detection]:
        """Faces of one uint8 (H, W, 3) RGB frame, best score first; boxes in its pixels."""
        height, width = rgb.shape[:2]
        shrink = min(1.0, self.settings.long_side / max(height, width))
        if shrink < 1.0:
            rgb = _resize(rgb, height * shrink, width * shrink)
        boxes = self._propose(rgb)
        boxes, _, _ = self._refine("rnet", rgb, boxes, self.settings.thresholds[1])
        boxes, scores, landmarks = self._refine("onet", rgb, boxes, self.settings.thresholds[2])
        # The shrunk sides are rounded to whole pixels, so each axis has its own exact scale.
        scale = np.asarray([width / rgb.shape[1], height / rgb.shape[0]])
        boxes = boxes * np.tile(scale, 2)
        landmarks = landmarks * scale
        return [
            Detection(
                (float(x0), float(y0), float(x1), float(y1)),
                float(score),
                points.astype(np.float32),
            )
            for (x0, y0, x1, y1), score, points in zip(boxes, scores, landmarks, strict=True)
        ]

    def _propose(self, rgb: NDArray[np.uint8]) -> Boxes:
        """P-Net over the pyramid: square boxes (N, 4) in pixels of ``rgb``, best first."""
        height, width = rgb.shape[:2]
        floats = rgb.astype(np.float32)
        cell = SIDE["pnet"]
        scale = cell / self.settings.smallest_face
        found: list[Boxes] = []
        found_scores: list[Floats] = []
        while min(height, width) * scale >= cell:
            level = _level(floats, height * scale, width * scale)
            offsets, face = self._sessions["pnet"].run(None, {"images": level[None]})
            rows, columns = np.nonzero(face[0] > self.settings.thresholds[0])
            scores = face[0][rows, columns]
            best = self._best(scores)
            rows, columns, scores = rows[best], columns[best], scores[best]
            # P-Net's stride is 2: grid cell (row, column) judged the 12-pixel square there.
            corner = np.stack([columns, rows], axis=1) * 2.0
            boxes = np.concatenate([corner, corner + cell], axis=1)
            boxes = boxes + offsets[0][:, rows, columns].T * cell
            kept = suppress(boxes, scores, 0.5)
            stretch = [width / level.shape[1], height / level.shape[0]]
            found.append(boxes[kept] * np.tile(stretch, 2))
            found_scores.append(scores[kept])
            scale *= self.settings.pyramid_step
        if not found:
            return np.zeros((0, 4))
        boxes, scores = np.concatenate(found), np.concatenate(found_scores)
        best = self._best(scores)
        boxes, scores = boxes[best], scores[best]
        return _squares(boxes[suppress(boxes, scores, 0.7)])

    def _best(self, scores: Floats) -> NDArray[np.intp]:
        """Which proposals may go on: suppression takes memory with the square of their number."""
        return np.argsort(-scores, kind="stable")[: self.settings.most_proposals]

    def _refine(
        self, network: Network, rgb: NDArray[np.uint8], squares: Boxes, threshold: float
    ) -> tuple[Boxes, Floats, Boxes]:
        """Judges square boxes (N, 4) with R-Net or O-Net.

        Gives the better-placed boxes kept (squared again after R-Net), their probabilities and,
        after O-Net, landmarks (N, 5, 2); best first.
        """
        squares = squares[_usable(rgb, squares)]
        if not len(squares):
            return np.zeros((0, 4)), np.zeros(0), np.zeros((0, 5, 2))
        patches = _patches(rgb, squares, SIDE[network])
        outputs = dict(
            zip(
                [output.name for output in self._sessions[network].get_outputs()],
                self._sessions[network].run(None, {"images": patches}),
                strict=True,
            )
        )
        scores = outputs["face"]
        good = scores > threshold
        scores, squares = scores[good], squares[good]
        side = (squares[:, 2] - squares[:, 0])[:, None]
        boxes = squares + outputs["offsets"][good] * side
        if network == "rnet":
            kept = suppress(boxes, scores, 0.7)
            return _squares(boxes[kept]), scores[kept], np.zeros((len(kept), 5, 2))
        # Share of the smaller box: also drops a box around one part of a face already found.
        kept = suppress(boxes, scores, 0.7, of="smaller")
        points = outputs["landmarks"][good].reshape(-1, 2, 5).transpose(0, 2, 1)
        points = squares[:, None, :2] + points * side[:, None]
        return boxes[kept], scores[kept], points[kept]


def _resize(rgb: NDArray[Any], height: float, width: float) -> NDArray[Any]:
    size = (max(1, round(width)), max(1, round(height)))
    return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA))


def _level(floats: NDArray[np.float32], height: float, width: float) -> NDArray[np.uint8]:
    """A level of the pyramid. OpenCV averages floats faster than bytes, to the same bytes."""
    return np.asarray(np.rint(_resize(floats, height, width)), np.uint8)


def _squares(boxes: Boxes) -> Boxes:
    """Each box grown along its shorter axis to a square with the same centre."""
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = np.max(boxes[:, 2:] - boxes[:, :2], axis=1, keepdims=True) / 2
    return np.concatenate([centre - half, centre + half], axis=1)


def _patches(rgb: NDArray[np.uint8], squares: Boxes, side: int) -> NDArray[np.uint8]:
    """The squares (N, 4), in whole pixels, of one frame as uint8 (N, side, side, 3); mid-grey
    beyond its edges, which is the networks' zero.

    Shrunk by area averaging: taking single pixels instead (as the package does) lets through
    false faces where texture aliases.
    """
    height, width = rgb.shape[:2]
    patches = np.empty((len(squares), side, side, 3), dtype=np.uint8)
    for patch, (x0, y0, x1, y1) in zip(patches, np.rint(squares).astype(int).tolist(), strict=True):
        inside = rgb[max(0, y0) : y1, max(0, x0) : x1]
        beyond = (max(0, -y0), max(0, y1 - height), max(0, -x0), max(0, x1 - width))
        if any(beyond):
            grey = (127, 127, 127)
            inside = np.asarray(
                cv2.copyMakeBorder(inside, *beyond, cv2.BORDER_CONSTANT, value=grey), dtype=np.uint8
            )
        shrinks = inside.shape[0] > side
        cv2.resize(
            inside,
            (side, side),
            dst=patch,
            interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR,
        )
    return patches


def _usable(rgb: NDArray[np.uint8], squares: Boxes) -> NDArray[np.bool_]:
    """Which squares (N, 4) show some of the frame and are of a size that can be cut out: the
    networks' offsets are not bounded, a picture could be made to draw huge boxes."""
    height, width = rgb.shape[:2]
    side = squares[:, 2] - squares[:, 0]
    shown = (
        (squares[:, 2] > 1)
        & (squares[:, 3] > 1)
        & (squares[:, 0] < width - 1)
        & (squares[:, 1] < height - 1)
    )
    usable: NDArray[np.bool_] = shown & (side >= 4) & (side <= 2 * max(height, width))
    return usable
