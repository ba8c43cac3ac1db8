"""Faces found in a picture that came shrunk are those of the picture."""

from __future__ import annotations

import numpy as np
import pytest
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter

from service.faces.detector import detect_in
from service.faces.mtcnn import MTCNN
from service.video.decoded import Converters, Decoded
from service.video.frames import Still
from tests.unit.faces.fakes import ScriptedDetector
from tests.unit.faces.photograph import assert_six_faces, six_people


class Coarse(Still):
    """Comes a quarter as wide and half as high."""

    def coarse(self, longest: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
        assert longest == 40
        return np.zeros((self.shape[0] // 2, self.shape[1] // 4, 3), np.uint8)


def test_boxes_and_landmarks_are_in_pixels_of_the_whole_picture() -> None:
    detector = ScriptedDetector(lambda _: [((10.0, 20.0, 30.0, 40.0), 0.9)])
    picture = Coarse(np.zeros((80, 160, 3), np.uint8))
    (plain,) = detect_in(picture, detector)
    detector.longest_side = 40  # type: ignore[attr-defined]
    (face,) = detect_in(picture, detector)
    assert plain.box == (10.0, 20.0, 30.0, 40.0)
    assert face.box == (40.0, 40.0, 120.0, 80.0)
    np.testing.assert_allclose(face.landmarks, plain.landmarks * [4, 2])
    assert face.landmarks.dtype == np.float32


@pytest.mark.parametrize("name", ["yuv420p", "yuv444p", "yuv420p10le"])
def test_the_six_people_are_found_in_every_format(name: str) -> None:
    frame = VideoFrame.from_ndarray(six_people(), format="rgb24")
    coded = VideoReformatter().reformat(frame, format=name, dst_colorspace="ITU709", threads=1)
    assert_six_faces(detect_in(Decoded(coded, Converters()), MTCNN()), least_iou=0.85)
