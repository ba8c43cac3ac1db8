"""What training on single frames adds: a faster step, masks, and the way from frames to clips."""

from __future__ import annotations

import copy

import pytest
import torch
from torch.nn import functional as F

from model_export.clrnet import CLRNet
from model_export.errors import TrainingError
from model_export.mesonet import Meso4
from model_export.training.inflation import inflate
from model_export.training.mask_head import MaskHead
from model_export.training.single_frame import faster_single_frames


def _clrnet() -> CLRNet:
    torch.manual_seed(0)
    return CLRNet(3, (1, 1), dropout=0.0)


def _gradients(model: CLRNet, x: torch.Tensor) -> dict[str, torch.Tensor]:
    model.zero_grad()
    F.cross_entropy(model(x), torch.tensor([0, 1, 0])).backward()
    return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


def test_the_faster_step_has_the_same_gradients() -> None:
    model, x = _clrnet(), torch.randn(3, 1, 3, 32, 32) * 3
    plain = _gradients(model, x)
    with faster_single_frames(model):
        fast = _gradients(model, x)
    assert plain.keys() == fast.keys()
    for name, gradient in plain.items():
        torch.testing.assert_close(fast[name], gradient, atol=1e-6, rtol=1e-4)
    assert "forward" not in vars(model.stem)


def test_an_inflated_network_says_of_still_clips_almost_what_it_said_of_frames() -> None:
    model = _clrnet().eval()
    frame = torch.rand(4, 1, 3, 32, 32)
    clip = frame.expand(-1, 5, -1, -1, -1)
    with torch.no_grad():
        wanted, before = model(frame), model(clip)
        inflated = copy.deepcopy(model)
        inflate(inflated)
        after = inflated(clip)
    assert (after - wanted).abs().max() < 0.1 * (before - wanted).abs().max()


def test_only_networks_with_recurrence_are_inflated_and_only_clrnet_has_masks() -> None:
    with pytest.raises(TrainingError, match="meso4 has nothing to inflate"):
        inflate(Meso4((32, 32)))
    with pytest.raises(TrainingError, match="only a clrnet has a mask head"):
        MaskHead(Meso4((32, 32)))


def test_the_mask_head_learns_which_frame_of_which_clip() -> None:
    model = _clrnet().train()
    head = MaskHead(model)
    optimiser = torch.optim.Adam([*model.parameters(), *head.parameters()], 0.03)
    losses = []
    for _ in range(30):
        # Drawn anew each time: a mask that belongs to another frame says nothing.
        forged = torch.randint(2, (4, 2)).float()
        clips = torch.rand(4, 2, 3, 32, 32) * 0.2 + 0.8 * forged[:, :, None, None, None]
        optimiser.zero_grad()
        model(clips)
        loss = head.loss(forged[:, :, None, None].expand(-1, -1, 8, 8))
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert sum(losses[-5:]) / 5 < 0.4
