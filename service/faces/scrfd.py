"""InsightFace's SCRFD as a face detector, from an ONNX file the operator names.

Guo et al. 2021, "Sample and Computation Redistribution for Efficient Face Detection". The
released models and packs are for non-commercial research only; nothing here fetches them
(:mod:`service.faces.fetch` does, on command).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from numpy.typing import NDArray

from service.errors import ModelError
from service.faces.detector import Box, Detection
from service.runtime import ORT_ERRORS, open_session
from service.session import Device

_STRIDE = 32
"""The coarsest feature map's; input sides are multiples of it."""
_OUTPUTS_WITH_LANDMARKS = (9, 15)
_SHIFT = (-0.018, 0.0)
_SCALE = (1.003, 0.994)
_NOT_A_DETECTOR = "is not an SCRFD face detector with landmarks"


class SCRFD:
    """Face detector; safe to call from several threads.

    ``path`` is an ONNX file or a pack folder that holds one; ``input_side`` the longer side in
    pixels that frames are scaled to. 320 finds what 640 finds at a quarter of the cost, and does
    not miss faces that fill the frame as 640 does.
    """

    sure_score = 0.7
    """From here on a single detection is trusted by itself; see ``TrackerSettings``. SCRFD's
    scores are lower than MTCNN's: 0.8 to 0.9 for a plain frontal face."""

    def __init__(
        self,
        path: Path,
        *,
        input_side: int = 320,
        least_score: float = 0.5,
        device: Device = "cpu",
        threads: int = 1,
    ) -> None:
        if input_side < _STRIDE:
            raise ValueError(f"input_side must be at least {_STRIDE}")
        self.input_side = input_side
        self.longest_side = 2 * input_side
        """See ``detect_in``. The last halving is the network's own, with single pixels averaged."""
        self.least_score = least_score
        file, model = _detection_model(path)
        _free_input_size(model)
        # Heavy (half a second and 100 MB), so imported only where this detector is chosen.
        from insightface.model_zoo import scrfd as insightface_scrfd

        try:
            session = open_session(model.SerializeToString(), device=device, threads=threads)
        except ModelError as error:
            raise ModelError(f"face detector {file.name}: {error}") from error
        # Built from a session and not with get_model(), which takes paths alone: the model would
        # have to be written to a disk again after its input size was freed.
        self._model: Any = insightface_scrfd.SCRFD(session=session)
        if self._model.static_input_size is not None or not self._model.use_kps:
            raise ModelError(f"{file.name} {_NOT_A_DETECTOR}")
        self._model.prepare(0, input_size=(input_side, input_side), det_thresh=least_score)
        try:
            self.network_output(np.zeros((input_side, input_side, 3), np.uint8))
        except (*ORT_ERRORS, ValueError, IndexError, TypeError) as error:
            raise ModelError(f"{file.name} {_NOT_A_DETECTOR}") from error

    @property
    def name(self) -> str:
        """``scrfd``."""
        return "scrfd"

    def detect(self, rgb: NDArray[np.uint8]) -> list[Detection]:
        """Faces of one uint8 (H, W, 3) RGB frame, best score first; boxes as MTCNN draws them."""
        boxes, landmarks = self.network_output(rgb)
        return [
            Detection(canonical_box(row[:4]), float(row[4]), points)
            for row, points in zip(boxes, landmarks, strict=True)
        ]

    def network_output(
        self, rgb: NDArray[np.uint8]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """What the network itself says of a uint8 (H, W, 3) RGB frame: boxes with scores (N, 5)
        as SCRFD draws them and landmarks (N, 5, 2), best score first, both float32."""
        height, width = rgb.shape[:2]
        if min(height, width) * self.input_side < max(height, width):
            # Scaled to the network's input such a strip is thinner than a pixel.
            return np.zeros((0, 5), np.float32), np.zeros((0, 5, 2), np.float32)
        bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
        size = input_size(height, width, self.input_side)
        boxes, landmarks = self._model.detect(bgr, input_size=size)
        return np.asarray(boxes, dtype=np.float32), np.asarray(landmarks, dtype=np.float32)


def input_size(height: int, width: int, side: int) -> tuple[int, int]:
    """Network input (width, height) for a frame: its longer side ``side``, rounded up to whole
    strides, the other no longer than the frame's shape needs."""
    scale = side / max(height, width)

    def strides(length: int) -> int:
        # The tolerance keeps a side of exactly n strides at n.
        return max(1, int(np.ceil(length * scale / _STRIDE - 1e-6))) * _STRIDE

    return strides(width), strides(height)


def canonical_box(box: NDArray[np.float32]) -> Box:
    """SCRFD's box (4,) as MTCNN would draw it: centre moved and sides scaled by shares of the
    sides, as measured over real talking faces (``tests/measure/faces.py boxes``; figures in
    ``docs/faces.md``)."""
    x0, y0, x1, y1 = map(float, box)
    width, height = x1 - x0, y1 - y0
    x = (x0 + x1) / 2 + _SHIFT[0] * width
    y = (y0 + y1) / 2 + _SHIFT[1] * height
    half_width, half_height = _SCALE[0] * width / 2, _SCALE[1] * height / 2
    return x - half_width, y - half_height, x + half_width, y + half_height


def _detection_model(path: Path) -> tuple[Path, onnx.ModelProto]:
    """The detector's file and its parsed content; ``path`` may be the pack folder around it."""
    if path.is_dir():
        # Packs also hold recognition models of 100 MB and more: likely names first.
        files = sorted(path.glob("*.onnx"), key=lambda file: (not _likely(file.name), file.name))
        for file in files:
            model = _parse(file)
            if _is_detector(model):
                return file, model
        raise ModelError(f"the folder {path.name} holds no SCRFD face detector with landmarks")
    if not path.exists():
        raise ModelError(f"the face detector {path.name} does not exist")
    model = _parse(path)
    if not _is_detector(model):
        raise ModelError(f"{path.name} {_NOT_A_DETECTOR}")
    return path, model


def _likely(name: str) -> bool:
    return name.startswith("det_") or "scrfd" in name


def _parse(file: Path) -> onnx.ModelProto:
    try:
        data = file.read_bytes()
    except OSError:
        raise ModelError(f"the face detector {file.name} cannot be read") from None
    try:
        return onnx.load_model_from_string(data)
    except DecodeError:
        raise ModelError(f"{file.name} is not an ONNX file") from None


def _is_detector(model: onnx.ModelProto) -> bool:
    inputs = _real_inputs(model)
    return (
        len(model.graph.output) in _OUTPUTS_WITH_LANDMARKS
        and len(inputs) == 1
        and len(inputs[0].type.tensor_type.shape.dim) == 4
    )


def _real_inputs(model: onnx.ModelProto) -> list[onnx.ValueInfoProto]:
    """Older files list their weights among the inputs too."""
    weights = {weight.name for weight in model.graph.initializer}
    return [value for value in model.graph.input if value.name not in weights]


def _free_input_size(model: onnx.ModelProto) -> None:
    """Makes height and width of the input symbolic, in place.

    Released files are fixed to 640 x 640, and InsightFace then ignores any other input size
    without a word. The graph itself computes with whatever size it is given.
    """
    sides = _real_inputs(model)[0].type.tensor_type.shape.dim[2:]
    for side, name in zip(sides, ("height", "width"), strict=True):
        side.dim_param = name
    for output in model.graph.output:
        # (1, anchors, values) or (anchors, values): the anchors depend on the size.
        shape = output.type.tensor_type.shape.dim
        if len(shape) >= 2:
            shape[len(shape) - 2].dim_param = f"anchors_{output.name}"
    del model.graph.value_info[:]
