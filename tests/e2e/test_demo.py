"""The demonstration clip: six people, one truly forged, and a report that can tell which."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from service.demo import Demo, make_demo
from service.engine import DetectionOptions
from service.video.deadline import Deadline
from service.video.video import Video, VideoLimits
from tests.e2e.test_engine import detect, report_of, settings_for
from tests.onnx_models import brightness_model


@pytest.fixture(scope="module")
def demo() -> Demo:
    return make_demo(seconds=1.0)


def test_only_the_forged_face_differs_from_the_photograph(demo: Demo) -> None:
    clean = make_demo(seconds=1.0, face=0)
    frames, others = _frames(demo.video), _frames(clean.video)
    for number in (0, 12, 24):
        difference = np.abs(frames[number].astype(int) - others[number]).mean(axis=2)
        forged, table = (
            difference[y0:y1, x0:x1].mean()
            for x0, y0, x1, y1 in (map(round, demo.forged_boxes[number]), (500, 560, 800, 700))
        )
        assert forged > 10
        assert table < 3, "only coding noise elsewhere"


async def test_the_report_tells_which_face_was_forged(demo: Demo, tmp_path: Path) -> None:
    path = tmp_path / "brightness.onnx"
    path.write_bytes(brightness_model())
    events = await detect(settings_for(path), demo.video, DetectionOptions(detail="full"))
    report = report_of(events)
    assert len(report.faces) == 6
    by_side = sorted(report.faces, key=lambda face: face.segments[0].box[0])
    assert demo.forged_face(report) == by_side[2].id


def _frames(video: bytes) -> list[np.ndarray]:
    deadline = Deadline(60)
    deadline.resume()
    opened = Video(video, VideoLimits(), deadline)
    return [frame.rgb for frame in opened.frames(range(len(opened.times)))]
