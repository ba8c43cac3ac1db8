"""CLRNet as a network to train: any clip length and size, Keras' initialisation."""

from __future__ import annotations

import math

import pytest
import torch

from model_export.clrnet import CLRNet
from model_export.layers import ConvLSTM2d, he_normal_, same_padding


def test_released_network_has_the_published_number_of_parameters() -> None:
    with torch.device("meta"):
        model = CLRNet()
    statistics = [buffer for name, buffer in model.named_buffers() if not name.endswith("tracked")]
    fixed = sum(buffer.numel() for buffer in statistics)
    assert fixed == 53_120
    assert sum(parameter.numel() for parameter in model.parameters()) + fixed == 248_160_514


@pytest.mark.parametrize(("steps", "height", "width"), [(1, 32, 32), (2, 33, 50), (5, 64, 40)])
def test_any_clip_length_and_size(steps: int, height: int, width: int) -> None:
    model = CLRNet(2, (1, 2), batch_norm_momentum=0.05)
    x = torch.rand(3, steps, 3, height, width)
    logits = model(x)
    assert logits.shape == (3, 2)
    logits.sum().backward()
    recurrent = model.stem.recurrent_weight.grad
    # One frame has no state to convolve.
    assert (recurrent is None) == (steps == 1)
    features = model.features(x)
    assert model.cam(features).shape == (3, steps, *features.shape[-2:])


@torch.no_grad()
def test_clips_of_a_batch_do_not_mix() -> None:
    model = CLRNet(2, (1, 1)).eval()
    x = torch.rand(3, 4, 3, 40, 40)
    together = model.features(x)
    alone = torch.cat([model.features(clip[None]) for clip in x])
    torch.testing.assert_close(together, alone)


@torch.no_grad()
def test_a_frame_changes_nothing_before_it() -> None:
    model = CLRNet(2, (1, 1)).eval()
    x = torch.rand(1, 4, 3, 40, 40)
    changed = x.clone()
    changed[:, 2] = 0
    same = (model.features(x) == model.features(changed)).flatten(2).all(2)[0]
    assert same.tolist() == [True, True, False, False]


def test_initialisation_is_that_of_keras() -> None:
    torch.manual_seed(0)
    layer = ConvLSTM2d(8, 16, 3)
    assert layer.bias.tolist() == [0.0] * 16 + [1.0] * 16 + [0.0] * 32
    deviation = math.sqrt(2 / (8 * 9))
    assert layer.weight.std().item() == pytest.approx(deviation, rel=0.05)
    assert layer.weight.abs().max().item() <= 2 * deviation / 0.8796 + 1e-6
    rows = layer.recurrent_weight.flatten(1)
    torch.testing.assert_close(rows @ rows.T, torch.eye(64), atol=1e-5, rtol=0)
    assert he_normal_(torch.empty(64, 64)).std().item() == pytest.approx(0.177, rel=0.05)


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "padding"),
    [
        (240, 7, 2, (2, 3)),
        (97, 7, 2, (3, 3)),
        (32, 3, 3, (0, 1)),
        (120, 3, 3, (0, 0)),
        (40, 3, 2, (0, 1)),
        (5, 1, 2, (0, 0)),
        (9, 5, 1, (2, 2)),
    ],
)
def test_same_padding(size: int, kernel: int, stride: int, padding: tuple[int, int]) -> None:
    assert same_padding(size, kernel, stride) == padding
