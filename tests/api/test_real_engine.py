"""HTTP on the real engine: bad media, broken models, and the same scores by every way in."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from service.cli import app
from service.local_engine import LocalEngine
from service.settings import FaceSettings, Limits, ModelSettings, Settings
from tests import media
from tests.api.client import OCTETS, client, problem
from tests.onnx_models import brightness_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "brightness.onnx"
    path.write_bytes(brightness_model())
    return path


@asynccontextmanager
async def real(model: Path, **limits: float) -> AsyncIterator[httpx.AsyncClient]:
    settings = Settings(model=ModelSettings(path=model), limits=Limits.model_validate(limits))
    async with client(LocalEngine(settings), settings) as session:
        yield session


async def test_bad_media_has_a_stable_code_each(model: Path) -> None:
    video = media.numbered_video(20)
    cases: list[tuple[str, bytes, int, str]] = [
        ("nothing", b"", 400, "empty_body"),
        ("text", b"This is no video.\n" * 100, 422, "undecodable"),
        ("noise", bytes(range(256)) * 400, 422, "undecodable"),
        ("PNG", media.png(), 422, "undecodable"),
        ("JPEG", media.jpeg(), 422, "undecodable"),
        ("playlist", b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", 422, "undecodable"),
        ("audio", media.audio_only(), 422, "no_video"),
        ("cover art", media.audio_only(cover=True), 422, "no_video"),
        ("no frames", media.no_frames(), 422, "undecodable"),
        ("half an index", media.truncated_moov(), 422, "undecodable"),
        ("no index", video[: len(video) // 2], 422, "undecodable"),
        ("half a byte", video[:1], 422, "undecodable"),
    ]
    async with real(model) as session:
        for name, data, status, code in cases:
            by_form = await session.post("/v1/detections", files={"file": (name, data)})
            raw = await session.post("/v1/detections", content=data, headers=OCTETS)
            for response in (by_form, raw):
                assert (name, response.status_code) == (name, status)
                detail = problem(response, status, code)["detail"]
                assert not any(word in detail for word in ("passwd", "Errno", "avcodec", "moov"))


async def test_media_over_limits_and_wrong_types(model: Path) -> None:
    video = media.numbered_video(50)
    async with real(model, duration=1) as session:
        response = await session.post("/v1/detections", content=video, headers=OCTETS)
        problem(response, 422, "over_limits")
    async with real(model, bytes=100) as session:
        response = await session.post("/v1/detections", content=video, headers=OCTETS)
        problem(response, 413, "too_large")
    async with real(model) as session:
        response = await session.post(
            "/v1/detections", content=video, headers={"Content-Type": "image/png"}
        )
        problem(response, 415, "unsupported_media_type")


async def test_a_stride_of_nothing_is_malformed(model: Path) -> None:
    async with real(model) as session:
        response = await session.post(
            "/v1/detections?sampling=stride=0", content=media.numbered_video(20), headers=OCTETS
        )
    problem(response, 400, "malformed_request")


async def test_a_video_without_a_face_is_no_error(model: Path) -> None:
    async with real(model) as session:
        response = await session.post(
            "/v1/detections", content=media.numbered_video(20), headers=OCTETS
        )
        metrics = (await session.get("/metrics")).text
    assert response.status_code == 200
    assert response.json()["verdict"] == "no_face"
    assert response.json()["score"] is None
    counted = '{model="brightness",reason="no_face",version="1"} 1.0'
    assert f"deepfake_abstain_total{counted}" in metrics


@pytest.mark.parametrize("content", [None, b"", b"corrupt", brightness_model(metadata={})])
async def test_a_missing_or_broken_model_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "wanted.onnx"
    if content is not None:
        path.write_bytes(content)
    async with real(path) as session:
        for response in (
            await session.get("/v2/health/ready"),
            await session.post("/v1/detections", content=b"x", headers=OCTETS),
        ):
            detail = problem(response, 503, "not_ready")["detail"]
            assert "wanted.onnx" in detail
            assert str(tmp_path) not in detail
            assert "retry-after" in response.headers
        assert (await session.get("/v2/health/live")).status_code == 200


async def test_a_missing_detector_is_named(model: Path, tmp_path: Path) -> None:
    settings = Settings(
        model=ModelSettings(path=model),
        faces=FaceSettings(detector="insightface", path=tmp_path / "scrfd.onnx"),
    )
    async with client(LocalEngine(settings), settings) as session:
        detail = problem(await session.get("/v2/health/ready"), 503, "not_ready")["detail"]
    assert "scrfd.onnx" in detail
    assert str(tmp_path) not in detail


async def test_a_ready_service_names_its_model(model: Path) -> None:
    async with real(model) as session:
        assert (await session.get("/v2/health/ready")).json()["provider"] == "CPUExecutionProvider"
        shown = (await session.get("/v2/models/brightness")).json()
    assert shown["inputs"][0]["shape"] == [-1, 5, 32, 32, 3]


async def test_form_raw_body_and_command_line_give_the_same_report(
    model: Path, tmp_path: Path
) -> None:
    video = media.group_video(15)
    file = tmp_path / "group.mp4"
    file.write_bytes(video)
    query = "/v1/detections?sampling=full&detail=full&explain=true"
    async with real(model) as session:
        by_form = await session.post(query, files={"file": ("group.mp4", video)})
        raw = await session.post(query, content=video, headers={"Content-Type": "video/mp4"})
        # Company must not change scores.
        crowd = await asyncio.gather(
            *(session.post(query, content=video, headers=OCTETS) for _ in range(3))
        )
    arguments = ["score", str(file), "--model", str(model)]
    picture = tmp_path / "timeline.svg"
    arguments += ["--sampling", "full", "--full", "--explain", "--json", "--plot", str(picture)]
    printed = await asyncio.to_thread(CliRunner().invoke, app, arguments)
    assert printed.exit_code == 0
    expected = _without_timing(json.loads(printed.stdout))
    assert len(expected["faces"]) == 6
    assert "<svg" in picture.read_text()
    for response in (by_form, raw, *crowd):
        assert response.status_code == 200
        assert _without_timing(response.json()) == expected


@pytest.mark.parametrize("name", ["timeline.gif", "timeline", "nowhere/timeline.png"])
def test_a_picture_that_cannot_be_is_refused_before_the_work(
    name: str, model: Path, tmp_path: Path
) -> None:
    arguments = [
        "score",
        "no-such-video.mp4",
        "--model",
        str(model),
        "--plot",
        str(tmp_path / name),
    ]
    printed = CliRunner().invoke(app, arguments)
    assert printed.exit_code == 2
    assert "--plot" in printed.output


def _without_timing(report: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in report.items() if name != "timing"}
