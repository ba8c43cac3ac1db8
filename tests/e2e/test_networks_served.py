"""Every network as a file: half precision, any batch, and the service's scores are its own."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto

from model_export.detector import Detector
from model_export.networks import NAMES
from model_export.onnx_export import PROBABILITY_TOLERANCE, export, random_clips
from model_export.scaling import SCALINGS
from service.classifier.classifier import load_classifier
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
SCALING = SCALINGS["imagenet"]

Served = tuple[Detector, Path]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Served]:
    """A network by name, and its file with half-precision weights; each is made once."""
    folder = tmp_path_factory.mktemp("models")

    @cache
    def make(architecture: str) -> Served:
        model, size = lively(architecture), SMALL[architecture].size
        path = folder / f"{architecture}.onnx"
        told = contract(model, model.clip_length, size, size)
        report = export(model, path, told, scaling=SCALING, half_weights=True)
        assert report.probability_difference <= PROBABILITY_TOLERANCE
        return model, path

    return make


def lively(architecture: str) -> Detector:
    """A small network whose batch norms have seen clips, so that its scores differ."""
    model, size = small(architecture), SMALL[architecture].size
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        model(torch.rand(8, min(model.clip_length, 5), 3, size, size))
    return model.eval()


@pytest.mark.parametrize("architecture", NAMES)
@torch.no_grad()
def test_the_service_scores_what_pytorch_does(
    architecture: str, served: Callable[[str], Served]
) -> None:
    model, path = served(architecture)
    kernels = [
        tensor
        for tensor in onnx.load(path).graph.initializer
        if len(tensor.dims) > 1 and np.prod(tensor.dims) >= 1024
    ]
    assert kernels
    assert {tensor.data_type for tensor in kernels} == {TensorProto.FLOAT16}

    classifier = load_classifier(path, device="cpu", threads=1)
    assert classifier.contract.architecture == architecture
    assert classifier.has_cam == model.has_cam
    size = SMALL[architecture].size
    clips = random_clips((5, model.clip_length, size, size, 3), seed=3)
    scores = classifier.score(clips).fake
    alone = np.concatenate([classifier.score(clip[None]).fake for clip in clips])
    np.testing.assert_allclose(alone, scores, atol=1e-6)
    for parameter in model.parameters():
        if parameter.ndim > 1 and parameter.numel() >= 1024:
            parameter.copy_(parameter.half())
    x = SCALING(torch.from_numpy(clips).permute(0, 1, 4, 2, 3))
    wanted = model.fake_probability(model(x)).numpy()
    assert np.ptp(wanted) > 1e-4
    np.testing.assert_allclose(scores, wanted, atol=PROBABILITY_TOLERANCE)


async def test_a_report_on_twenty_frames_at_a_time(served: Callable[[str], Served]) -> None:
    _, path = served("cnn_lstm")
    settings = Settings(model=ModelSettings(path=path))  # type: ignore[call-arg]
    video = media.group_video(FRAMES)
    report = report_of(await detect(settings, video, DetectionOptions(detail="full")))
    assert report.model.architecture == "cnn_lstm"
    assert report.model.clip_length == 20
    assert len(report.faces) == 6
    assert report.coverage.clips_scored == 6 * (FRAMES // 20)
    assert all(0 < face.score < 1 for face in report.faces)


async def test_an_autoencoder_over_http(served: Callable[[str], Served]) -> None:
    _, path = served("forensic_transfer")
    settings = Settings(model=ModelSettings(path=path))  # type: ignore[call-arg]
    async with client(LocalEngine(settings), settings) as session:
        video = media.group_video(10)
        response = await session.post("/v1/detections", content=video, headers=OCTETS)
    assert response.status_code == 200
    body = response.json()
    assert body["model"]["architecture"] == "forensic_transfer"
    assert len(body["faces"]) == 6
    assert all(0 < face["score"] < 1 for face in body["faces"])
