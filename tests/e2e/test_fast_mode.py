"""A report says which runtime and which precision scored, and so does its receipt."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from service.engine import DetectionOptions, Finished
from service.local_engine import LocalEngine
from service.report import ModelInfo, Report
from service.session import Runtime
from service.settings import ModelSettings, Settings
from service.signing import Signer
from service.sources.source import Memory
from tests import media
from tests.onnx_models import CONTRACT, brightness_model

FAST = CONTRACT.model_copy(update={"precision": "int8: some layers"})


@pytest.fixture(scope="module")
def video() -> bytes:
    return media.encode_video(media.group_frames(10))


async def report_of(path: Path, runtime: Runtime, video: bytes) -> Report:
    engine = LocalEngine(Settings(model=ModelSettings(path=path, runtime=runtime)))
    await engine.start()
    try:
        state = engine.readiness()
        events = [event async for event in engine.detect(Memory(video), DetectionOptions())]
    finally:
        await engine.stop()
    assert isinstance(events[-1], Finished)
    report = events[-1].report
    assert isinstance(report.model, ModelInfo)
    assert (state.provider, state.precision) == (report.model.provider, report.model.precision)
    return report


async def test_reports_tell_runtime_and_precision(tmp_path: Path, video: bytes) -> None:
    path = tmp_path / "fast.onnx"
    path.write_bytes(brightness_model(FAST))
    plain = await report_of(path, "onnxruntime", video)
    other = await report_of(path, "openvino", video)
    told = [(each.model.provider, each.model.precision) for each in (plain, other)]
    assert told == [
        ("CPUExecutionProvider", "int8: some layers"),
        ("OpenVINO CPU", "int8: some layers"),
    ]
    assert other.score == pytest.approx(plain.score, abs=1e-5)
    (signed,) = Signer(Ed25519PrivateKey.generate()).sign(other, DetectionOptions()).models
    assert (signed.provider, signed.precision) == told[1]
