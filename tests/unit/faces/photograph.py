"""The group photograph inside the insightface package, and where its faces are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from service.faces.detector import Detection
from service.faces.geometry import overlaps

# Forehead to chin, where MTCNN and SCRFD 2.5G draw them.
SIX_FACES = (
    (907.0, 64.0, 1007.0, 198.0),
    (742.0, 342.0, 842.0, 474.0),
    (53.0, 265.0, 163.0, 394.0),
    (466.0, 264.0, 570.0, 407.0),
    (269.0, 152.0, 366.0, 268.0),
    (1132.0, 275.0, 1224.0, 396.0),
)


def six_people() -> NDArray[np.uint8]:
    """uint8 (886, 1280, 3) RGB."""
    from insightface.data import get_image

    return np.ascontiguousarray(get_image("t1")[..., ::-1])


def assert_six_faces(found: Sequence[Detection], least_iou: float) -> None:
    """The six faces, once each, with plausible landmarks."""
    assert len(found) == len(SIX_FACES)
    table = overlaps(np.asarray([face.box for face in found]), np.asarray(SIX_FACES))
    assert table.max(axis=0).min() >= least_iou
    for face in found:
        x0, y0, x1, y1 = face.box
        points = face.landmarks
        assert points.shape == (5, 2)
        assert points.dtype == np.float32
        eye, other_eye, nose, mouth, other_mouth = points
        assert eye[0] < other_eye[0]
        assert mouth[0] < other_mouth[0]
        assert max(eye[1], other_eye[1]) < nose[1] < min(mouth[1], other_mouth[1])
        assert ((points > (x0, y0)) & (points < (x1, y1))).all()
