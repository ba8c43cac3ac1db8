"""Every network of ``model_export.networks``, as small and quick as its options allow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

import pytest
import torch

from model_export import xception
from model_export.detector import Detector
from model_export.networks import build

BACKBONE = {"backbone": "test_resnet"}
"""A residual network of 370,000 parameters that timm has for tests."""


@dataclass(frozen=True)
class Small:
    """How a network is built for a test: frames of ``size`` squared."""

    size: int = 32
    options: Mapping[str, Any] = field(default_factory=dict)


SMALL: Mapping[str, Small] = {
    "clrnet": Small(32, {"initial_filters": 4, "repetitions": [1], "dropout": 0.0}),
    "shallownetv3": Small(24, {"dropout": 0.0}),
    "mesoinception4": Small(32, {"dropout": 0.0}),
    "meso4": Small(32, {"dropout": 0.0}),
    "xception": Small(),
    "xception_ffpp": Small(32, BACKBONE),
    "dbirnn": Small(32, {**BACKBONE, "hidden": 32}),
    "cnn_lstm": Small(32, {**BACKBONE, "hidden": 32, "dense": 32, "dropout": 0.0}),
    "forensic_transfer": Small(),
}


def small(architecture: str, seed: int = 0) -> Detector:
    """A small network with weights drawn by ``seed``, in training mode."""
    torch.manual_seed(seed)
    chosen = SMALL[architecture]
    # Eight equal blocks in the middle of Xception say no more than one does.
    with patch.object(xception, "MIDDLE_BLOCKS", 1):
        return build(architecture, (chosen.size, chosen.size), chosen.options)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Networks this small are slower on several threads; for modules that import this."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
