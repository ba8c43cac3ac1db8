"""Comparing this package's networks with what Keras computed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model_export.clrnet import CLRNet
from model_export.keras_import import import_keras

GOLDEN = Path(__file__).parents[2] / "golden"
CLRNET = GOLDEN / "clrnet"
SMALL = CLRNET / "f4_r1111_64"
ODD = CLRNET / "f6_r2222_97"
OLD = CLRNET / "tf113_f6_r2222_97"

Array = NDArray[np.float32]

PROBABILITY = 1e-5
LOGIT = 1e-4
RELATIVE = 1e-4


def load(path: Path) -> dict[str, NDArray[np.generic]]:
    """All arrays of an npz file."""
    with np.load(path) as archive:
        return {name: archive[name] for name in archive.files}


def clips(channels_last: NDArray[np.generic]) -> Tensor:
    """(N, T, H, W, 3) or (N, H, W, 3) as the networks take it, (N, T, 3, H, W)."""
    frames = channels_last if channels_last.ndim == 5 else channels_last[:, None]
    return torch.from_numpy(np.ascontiguousarray(frames.transpose(0, 1, 4, 2, 3)))


def channels_last(x: Tensor) -> Array:
    """(N, T, C, h, w) to (N, T, h, w, C)."""
    return x.detach().permute(0, 1, 3, 4, 2).numpy()


def clrnet(path: Path, size: int) -> CLRNet:
    """An imported CLRNet."""
    model = import_keras(path, "clrnet", size).model
    assert isinstance(model, CLRNet)
    return model


def relative(found: Array, wanted: NDArray[np.generic]) -> float:
    """Largest difference over the largest value."""
    assert found.shape == wanted.shape
    return float(np.abs(found - wanted).max() / np.abs(wanted).max())


def difference(found: Array, wanted: NDArray[np.generic]) -> float:
    """Largest difference."""
    assert found.shape == wanted.shape
    return float(np.abs(found - wanted).max())


@torch.no_grad()
def assert_parity(model: CLRNet, golden: dict[str, NDArray[np.generic]], name: str) -> None:
    """Probabilities, logits and feature map as Keras has them; prints the differences."""
    features = model.features(clips(golden["x"]))
    logits = model.classify(features)
    probability = difference(torch.softmax(logits, 1).numpy(), golden["prob"])
    feature = relative(channels_last(features), golden["feature_map"])
    logit = difference(logits.numpy(), golden["logits"]) if "logits" in golden else 0.0
    print(f"{name}: probability {probability:.1e}, logits {logit:.1e}, features {feature:.1e}")
    assert probability <= PROBABILITY
    assert logit <= LOGIT
    assert feature <= RELATIVE
