"""ForensicTransfer: halves of a latent, and a frame rebuilt from the right one."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from model_export.forensic_transfer import RECONSTRUCTION_WEIGHT, ForensicTransfer
from tests.networks import one_thread as one_thread


@pytest.fixture
def model() -> ForensicTransfer:
    torch.manual_seed(0)
    return ForensicTransfer((4, 8, 16))


def test_the_published_latent() -> None:
    with torch.device("meta"):
        model = ForensicTransfer()
        assert model.features(torch.empty(1, 1, 3, 256, 256)).shape == (1, 1, 128, 16, 16)


def latent(fake: float, real: float) -> Tensor:
    """(1, 1, 16, 2, 2) with these activations, of either sign."""
    halves = torch.tensor([fake, real]).repeat_interleave(8)[None, None, :, None, None]
    signs = torch.tensor([[1.0, -1.0], [-1.0, 1.0]])
    return halves * signs


def test_the_half_that_is_more_active_decides(model: ForensicTransfer) -> None:
    for fake, real, wanted in ((0.9, 0.1, 0.9), (0.2, 0.6, 0.25), (0.0, 0.0, 0.5), (3, 0, 1.0)):
        activations = model.classify(latent(fake, real))
        assert activations[0].tolist() == pytest.approx([fake, real])
        assert model.fake_probability(activations).item() == pytest.approx(wanted)
    activations = model.classify(latent(0.6, 0.2))
    assert model.log_odds(activations).item() == pytest.approx(math.log(3))
    assert math.isfinite(model.log_odds(model.classify(latent(3.0, 0.0))).item())


def test_a_frame_is_rebuilt_from_its_own_half_alone(model: ForensicTransfer) -> None:
    features = torch.rand(2, 1, 16, 4, 4)
    fake = torch.tensor([1.0, 0.0])
    rebuilt = model.reconstruction(features, fake)
    other = features.clone()
    other[0, :, 8:] += 1
    other[1, :, :8] += 1
    assert torch.equal(model.reconstruction(other, fake), rebuilt)
    own = features.clone()
    own[0, :, :8] += 1
    own[1, :, 8:] += 1
    changed = (model.reconstruction(own, fake) - rebuilt).abs().amax(dim=(1, 2, 3))
    assert (changed > 1e-4).all()


def test_the_loss_is_activation_and_a_tenth_of_reconstruction(model: ForensicTransfer) -> None:
    x = torch.rand(3, 1, 3, 16, 16)
    fake = torch.tensor([1.0, 0.0, 1.0])
    features = model.features(x)
    a_fake, a_real = model.classify(features).unbind(dim=1)
    activation = ((a_fake - fake).abs() + (a_real - (1 - fake)).abs()).mean()
    rebuilt = model.reconstruction(features, fake)
    wanted = activation + RECONSTRUCTION_WEIGHT * (rebuilt - x[:, 0]).abs().mean()
    assert RECONSTRUCTION_WEIGHT == 0.1
    torch.testing.assert_close(model.loss(x, fake), wanted)


@pytest.mark.parametrize(("height", "width"), [(16, 16), (18, 21)])
def test_frames_of_any_size(model: ForensicTransfer, height: int, width: int) -> None:
    loss = model.loss(torch.rand(2, 1, 3, height, width), torch.tensor([0.0, 1.0]))
    loss.backward()
    assert all(each.grad is not None for each in model.parameters())
