"""A video's clips and their scores, the obvious way.

Each library as its documentation shows it: OpenCV reads a temporary file and decodes every frame,
an InsightFace detector looks at each of them at 640 x 640, ONNX Runtime scores with its default
options. It is no straw man: faces of a frame are told apart by their place from left to right, and
a video's clips are scored in batches of 16. What it lacks is what a service has to add: it bounds
nothing, follows nobody, and shares nothing between requests.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
from insightface.model_zoo import get_model
from numpy.typing import NDArray

BATCH = 16


class Naive:
    """Loads model and detector that the environment names."""

    def __init__(self) -> None:
        self._session = onnxruntime.InferenceSession(
            os.environ["NAIVE_MODEL"], providers=["CPUExecutionProvider"]
        )
        told = self._session.get_modelmeta().custom_metadata_map
        self._frames, self._side = int(told["clip_length"]), int(told["input_height"])
        self._margin = float(told["crop_margin"])
        self._detector = get_model(os.environ["NAIVE_DETECTOR"], providers=["CPUExecutionProvider"])
        self._detector.prepare(ctx_id=-1, input_size=(640, 640))

    def score(self, video: bytes) -> list[float]:
        """P(fake) of every clip."""
        with tempfile.NamedTemporaryFile(suffix=".mp4") as file:
            file.write(video)
            file.flush()
            return self.score_file(Path(file.name))

    def score_file(self, path: Path) -> list[float]:
        """P(fake) of every clip: all windows of consecutive frames, each face in all of them."""
        clips, window = [], []
        capture = cv2.VideoCapture(str(path))
        while True:
            found, frame = capture.read()
            if not found:
                break
            window.append(self._faces(frame))
            if len(window) == self._frames:
                clips += [np.stack(faces) for faces in zip(*window, strict=False)]
                window = []
        capture.release()
        scores: list[float] = []
        for at in range(0, len(clips), BATCH):
            batch = np.stack(clips[at : at + BATCH])
            scores += self._session.run(["fake_probability"], {"clips": batch})[0].tolist()
        return scores

    def _faces(self, frame: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
        """RGB crops of a BGR frame's faces from left to right."""
        boxes, _ = self._detector.detect(frame)
        return [self._crop(frame, box) for box in sorted(boxes.tolist())]

    def _crop(self, frame: NDArray[np.uint8], box: list[float]) -> NDArray[np.uint8]:
        x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
        half = self._margin * max(box[2] - box[0], box[3] - box[1]) / 2
        left, top = max(int(x - half), 0), max(int(y - half), 0)
        part = frame[top : int(y + half), left : int(x + half)]
        return cv2.cvtColor(cv2.resize(part, (self._side, self._side)), cv2.COLOR_BGR2RGB)
