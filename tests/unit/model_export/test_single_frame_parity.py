"""MesoNet and ShallowNetV3 compute what Keras computes, with P(fake) the right way round."""

from __future__ import annotations

import pytest
import torch

from model_export.keras_import import import_keras
from tests.shared import SHARED, needs_shared

from .parity import GOLDEN, PROBABILITY, clips, difference, load

MESONETS = ["Meso4_DF", "Meso4_F2F", "MesoInception_DF", "MesoInception_F2F"]


@needs_shared("models", "mesonet")
@pytest.mark.parametrize("weights", MESONETS)
@torch.no_grad()
def test_mesonet_equals_keras_on_real_images(weights: str) -> None:
    architecture = "mesoinception4" if "Inception" in weights else "meso4"
    imported = import_keras(SHARED / "models" / "mesonet" / f"{weights}.h5", architecture)
    assert imported.size == (256, 256)
    assert imported.clip_length == 1
    golden = load(SHARED / "golden" / "mesonet" / "golden.npz")
    x = clips(golden["x_uint8"]).float() / 255
    fake = imported.model.fake_probability(imported.model(x)).numpy()
    worst = difference(1 - fake, golden[f"p_real_{weights}"])
    print(f"{weights}: {worst:.1e}")
    assert worst <= PROBABILITY


@torch.no_grad()
def test_shallownet_equals_keras() -> None:
    imported = import_keras(GOLDEN / "shallownet" / "weights_only.h5", "shallownetv3")
    assert imported.size == (40, 40)
    golden = load(GOLDEN / "shallownet" / "golden.npz")
    logits = imported.model(clips(golden["x"]))
    worst = difference(torch.sigmoid(logits).numpy(), golden["sigmoid"])
    print(f"ShallowNetV3: {worst:.1e}")
    assert worst <= PROBABILITY
    fake = imported.model.fake_probability(logits).numpy()
    assert difference(fake, golden["sigmoid"][:, 0]) <= PROBABILITY


def test_a_single_frame_model_refuses_longer_clips() -> None:
    model = import_keras(GOLDEN / "shallownet" / "weights_only.h5", "shallownetv3").model
    with pytest.raises(ValueError, match="1 frame, not 5"):
        model(torch.zeros(1, 5, 3, 40, 40))
