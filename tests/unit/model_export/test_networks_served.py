"""Every network as a file: half precision, any batch, and the service's scores are its own."""

from __future__ import annotations

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
from tests.networks import SMALL, small
from tests.networks import one_thread as one_thread

from .test_onnx_export import contract


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
def test_the_service_scores_what_pytorch_does(architecture: str, tmp_path: Path) -> None:
    model, size = lively(architecture), SMALL[architecture].size
    steps, scaling = model.clip_length, SCALINGS["imagenet"]
    path = tmp_path / "model.onnx"
    report = export(
        model, path, contract(model, steps, size, size), scaling=scaling, half_weights=True
    )
    assert report.probability_difference <= PROBABILITY_TOLERANCE
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
    clips = random_clips((5, steps, size, size, 3), seed=3)
    served = classifier.score(clips).fake
    alone = np.concatenate([classifier.score(clip[None]).fake for clip in clips])
    np.testing.assert_allclose(alone, served, atol=1e-6)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1 and parameter.numel() >= 1024:
                parameter.copy_(parameter.half())
        x = scaling(torch.from_numpy(clips).permute(0, 1, 4, 2, 3))
        wanted = model.fake_probability(model(x)).numpy()
    assert np.ptp(wanted) > 1e-4
    np.testing.assert_allclose(served, wanted, atol=PROBABILITY_TOLERANCE)
