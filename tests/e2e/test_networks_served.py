"""Networks unlike the one in the box, from a video to its report."""

from __future__ import annotations

from pathlib import Path

import pytest

from model_export.onnx_export import export
from model_export.scaling import SCALINGS
from service.engine import DetectionOptions
from service.local_engine import LocalEngine
from service.settings import ModelSettings, Settings
from tests import media
from tests.api.client import OCTETS, client
from tests.e2e.test_engine import detect, report_of
from tests.networks import SMALL, small
from tests.networks import one_thread as one_thread
from tests.unit.model_export.test_onnx_export import contract

FRAMES = 42


@pytest.fixture(scope="module")
def video() -> bytes:
    return media.group_video(FRAMES)


def exported(architecture: str, folder: Path) -> Settings:
    """A service of a small network with random weights."""
    model, size = small(architecture).eval(), SMALL[architecture].size
    path = folder / f"{architecture}.onnx"
    export(
        model,
        path,
        contract(model, model.clip_length, size, size),
        scaling=SCALINGS["symmetric"],
    )
    return Settings(model=ModelSettings(path=path))  # type: ignore[call-arg]


async def test_twenty_frames_at_a_time(video: bytes, tmp_path: Path) -> None:
    settings = exported("cnn_lstm", tmp_path)
    report = report_of(await detect(settings, video, DetectionOptions(detail="full")))
    assert report.model.architecture == "cnn_lstm"
    assert report.model.clip_length == 20
    assert len(report.faces) == 6
    assert report.coverage.clips_scored == 6 * (FRAMES // 20)
    assert all(0 < face.score < 1 for face in report.faces)


async def test_an_autoencoder_over_http(video: bytes, tmp_path: Path) -> None:
    settings = exported("forensic_transfer", tmp_path)
    async with client(LocalEngine(settings), settings) as session:
        response = await session.post("/v1/detections", content=video, headers=OCTETS)
    assert response.status_code == 200
    body = response.json()
    assert body["model"]["architecture"] == "forensic_transfer"
    assert len(body["faces"]) == 6
    assert all(0 < face["score"] < 1 for face in body["faces"])
