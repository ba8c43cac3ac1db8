"""A published detector on published forgeries: the right seconds and the right face.

MesoInception_DF (Afchar et al. 2018) with the authors' own real and forged sample images, shown
in a larger, slowly moving picture.
"""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from service.engine import DetectionOptions
from service.local_engine import LocalEngine
from service.report import Report
from service.settings import FaceSettings, ModelSettings, Settings
from tests import media
from tests.e2e.test_engine import as_media, report_of
from tests.shared import SHARED, needs_shared

pytestmark = [needs_shared("models", "mesonet"), needs_shared("faces", "real")]

MESONET = SHARED / "models" / "mesonet"
SIDE = 240
FPS = 10


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "mesoinception_df.onnx"
    command = [sys.executable, "-m", "model_export", "import-keras"]
    weights = MESONET / "MesoInception_DF.h5"
    options = ["--architecture", "mesoinception4", "-o", path, "--trained-on", "FF++ Deepfakes"]
    subprocess.run([*command, weights, *options], check=True, timeout=120)
    return path


def sample(name: str) -> media.Image:
    rgb = cv2.imread(str(MESONET / "images" / f"{name}.jpg"), cv2.IMREAD_COLOR_RGB)
    return np.asarray(cv2.resize(rgb, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)


def shown(faces: list[media.Image], number: int) -> media.Image:
    """Faces side by side in a grey picture that moves slowly."""
    width = 160 + len(faces) * (SIDE + 60)
    rgb = np.full((400, width, 3), 110, np.uint8)
    x = 80 + round(20 * np.sin(number / 40))
    y = 80 + round(15 * np.cos(number / 55))
    for place, face in enumerate(faces):
        left = x + place * (SIDE + 60)
        rgb[y : y + SIDE, left : left + SIDE] = face
    return rgb


async def score(video: bytes, model: Path, faces: FaceSettings) -> Report:
    engine = LocalEngine(Settings(model=ModelSettings(path=model), faces=faces))  # type: ignore[arg-type,call-arg]
    await engine.start()
    try:
        options = DetectionOptions(detail="full")
        return report_of([event async for event in engine.detect(as_media(video), options)])
    finally:
        await engine.stop()


DETECTORS = {
    "mtcnn": FaceSettings(),
    "insightface": FaceSettings(path=SHARED / "models" / "insightface" / "scrfd_2.5g_kps.onnx"),
}


@pytest.mark.parametrize("detector", DETECTORS)
async def test_the_forged_seconds_and_only_those_are_called_fake(
    model: Path, detector: str
) -> None:
    real, forged = sample("real00240"), sample("df00204")
    truth = np.zeros(20 * FPS, bool)
    truth[8 * FPS : 12 * FPS] = True
    frames = [shown([forged if fake else real], n) for n, fake in enumerate(truth)]
    report = await score(media.encode_video(frames, fps=FPS), model, DETECTORS[detector])
    assert report.media.duration == pytest.approx(20.0)
    called = {verdict: np.zeros(20 * FPS, bool) for verdict in ("fake", "real", "uncertain")}
    for face in report.faces:
        for segment in face.segments:
            called[segment.verdict][segment.start_frame : segment.end_frame + 1] = True
    np.testing.assert_array_equal(called["fake"], truth)
    np.testing.assert_array_equal(called["real"], ~truth)
    assert report.verdict == "fake"
    assert report.score is not None
    assert report.score > 0.9


@pytest.mark.parametrize("place", [0, 1, 2])
async def test_one_forged_face_among_several_ranks_first(model: Path, place: int) -> None:
    faces = [sample("real00240"), sample("real00772"), sample("real00240")]
    faces[place] = sample("df01254")
    video = media.encode_video([shown(faces, n) for n in range(60)])
    report = await score(video, model, DETECTORS["mtcnn"])
    assert len(report.faces) == 3
    by_side = sorted(report.faces, key=lambda face: face.segments[0].box[0])
    assert [face.verdict for face in by_side] == [
        "fake" if number == place else "real" for number in range(3)
    ]
    ranked = sorted(report.faces, key=lambda face: -face.score)
    assert ranked[0].id == by_side[place].id
    assert all(first.score >= second.score for first, second in pairwise(ranked))


async def test_a_published_single_frame_model_scores_a_real_video(model: Path) -> None:
    video = (SHARED / "faces" / "real" / "lp_d12.mp4").read_bytes()
    report = await score(video, model, DETECTORS["mtcnn"])
    assert report.model.clip_length == 1
    assert report.model.architecture == "mesoinception4"
    assert report.operating_point.calibration == "uncalibrated"
    assert report.coverage.clips_scored >= 0.95 * report.media.frames
    assert len(report.faces) == 1
    assert 0 < report.faces[0].score < 1
    assert report.faces[0].end - report.faces[0].start > 0.95 * report.media.duration
