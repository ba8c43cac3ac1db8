"""Which face detector runs."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from service.errors import ModelError
from service.faces.detector import FaceDetector
from service.session import Device

Kind = Literal["auto", "mtcnn", "insightface"]


def load_detector(
    kind: Kind = "auto", path: Path | None = None, *, device: Device = "cpu"
) -> FaceDetector:
    """A ready face detector.

    ``path`` is an InsightFace detection model or pack folder. ``auto`` takes it where it is given
    and the embedded MTCNN otherwise; MTCNN always runs on the CPU. Raises ``ModelError``, without
    folder names, where the model is missing or broken.
    """
    if kind == "insightface" and path is None:
        raise ModelError("the insightface detector needs the path of a model")
    if path is None or kind == "mtcnn":
        from service.faces.mtcnn import MTCNN

        return MTCNN()
    from service.faces.scrfd import SCRFD

    return SCRFD(path, device=device)
