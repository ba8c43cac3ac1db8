"""Xception computes what Keras' own computes; the reference is made by another environment.

How to make it stands in ``tests/reference/xception_keras.py``.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from model_export.keras_import import import_keras
from model_export.xception import Xception

from .parity import PROBABILITY, RELATIVE, channels_last, clips, difference, load, relative

VARIABLE = "XCEPTION_REFERENCE"


@pytest.mark.skipif(VARIABLE not in os.environ, reason=f"{VARIABLE} names no reference folder")
@pytest.mark.parametrize(
    ("weights", "answers", "size"),
    [
        ("softmax.h5", "softmax.npz", 128),
        ("weights_only.h5", "softmax.npz", 128),
        ("layout.weights.h5", "softmax.npz", 128),
        ("sigmoid.h5", "sigmoid.npz", 101),
    ],
)
@torch.no_grad()
def test_xception_equals_keras(weights: str, answers: str, size: int) -> None:
    folder = Path(os.environ[VARIABLE])
    golden = load(folder / answers)
    imported = import_keras(folder / weights, "xception", size)
    model = imported.model
    assert imported.size == (size, size)
    features = model.features(clips(golden["frames"]).float() / 255)
    fake = model.fake_probability(model.classify(features)).numpy()
    probability = difference(fake, golden["probability"][:, 0])
    feature = relative(channels_last(features)[:, 0], golden["features"])
    print(f"Xception {weights}: probability {probability:.1e}, features {feature:.1e}")
    assert probability <= PROBABILITY
    assert feature <= RELATIVE


@pytest.mark.parametrize("units", [1, 2])
@torch.no_grad()
def test_cam_is_where_the_fake_logit_comes_from(units: int) -> None:
    model = Xception(units).eval()
    features = torch.rand(2, 1, 2048, 3, 3)
    fake = model.cam(features).mean(dim=(1, 2, 3))
    logits = model.classify(features) - model.head.bias
    torch.testing.assert_close(fake, -logits[:, 0] if units == 1 else logits[:, 0])


def test_a_head_of_many_classes_is_refused() -> None:
    with pytest.raises(ValueError, match="1000 units"):
        Xception(1000)
