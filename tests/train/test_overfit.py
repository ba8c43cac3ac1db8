"""Every network learns eight clips by heart, and says *fake* of those that are called so."""

from __future__ import annotations

import pytest
import torch

from model_export.networks import NAMES
from tests.networks import SMALL, small
from tests.networks import one_thread as one_thread

CLIPS = 8
FRAMES = 5
STEPS = 150
GOAL = 0.05


@pytest.mark.parametrize("architecture", NAMES)
def test_eight_clips_are_learnt_by_heart(architecture: str) -> None:
    model = small(architecture)
    size = SMALL[architecture].size
    fake = torch.tensor([0.0, 1.0]).repeat(CLIPS // 2)
    x = torch.rand(CLIPS, min(FRAMES, model.clip_length), 3, size, size)
    if x.shape[1] > 1:
        # A forged clip is a real one with two inner frames exchanged: nothing but the order of
        # frames tells them apart, and neither the first nor the last frame knows it.
        x[1::2] = x[::2, [0, 3, 2, 1, 4]]
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(STEPS):
        loss = model.loss(x, fake)
        losses.append(loss.item())
        if losses[-1] < GOAL:
            break
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    print(f"{architecture}: {losses[0]:.3f} to {losses[-1]:.3f} in {len(losses)} steps")
    assert losses[-1] < GOAL < losses[0]
    with torch.no_grad():
        probability = model.fake_probability(model(x))
    assert ((probability > 0.5) == (fake > 0.5)).all()
