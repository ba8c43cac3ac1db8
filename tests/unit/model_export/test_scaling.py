"""The scalings are what their names say, wherever the channels stand that they need."""

from __future__ import annotations

from typing import get_args

import pytest
import torch

from model_export.scaling import SCALINGS
from model_export.training.config import ScalingName


def test_a_run_s_file_can_name_each_of_them_and_nothing_else() -> None:
    assert get_args(ScalingName) == tuple(SCALINGS)


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [("unit", 0.0, 1.0), ("centred", -2.0, 2.0), ("symmetric", -1.0, 1.0)],
)
def test_ranges(name: str, low: float, high: float) -> None:
    scaled = SCALINGS[name](torch.tensor([0, 255], dtype=torch.uint8))
    assert scaled.dtype == torch.float32
    assert scaled.tolist() == pytest.approx([low, high])


def test_imagenet_by_channel() -> None:
    pixels = torch.randint(0, 256, (2, 5, 3, 4, 6), dtype=torch.uint8)
    scaled = SCALINGS["imagenet"](pixels)
    for channel, (mean, deviation) in enumerate([(0.485, 0.229), (0.456, 0.224), (0.406, 0.225)]):
        wanted = (pixels[:, :, channel].float() / 255 - mean) / deviation
        torch.testing.assert_close(scaled[:, :, channel], wanted)
