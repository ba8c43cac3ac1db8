"""The trainer learns: on drawn faces, in seconds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from model_export.clrnet import CLRNet
from model_export.demo.pool import INPUT_SIZE, POOL_SIZE, Pairs, make_pairs
from model_export.demo.single_frame import faster_single_frames
from model_export.demo.trainer import (
    Stage,
    batches,
    held_out_auc,
    images_seen,
    inflate,
    load,
    predict,
    train,
)
from tests.train.drawn import drawn_run

PEOPLE = ["ann", "ben", "cleo"]


@pytest.fixture(scope="module")
def pairs() -> Pairs:
    """A dozen pairs of three drawn people."""
    runs = [drawn_run(name) for name in PEOPLE]
    made = [
        make_pairs(run, runs, np.random.default_rng([place, turn]), training=True)
        for turn in range(2)
        for place, run in enumerate(runs)
    ]
    return Pairs.join(made)


def _middle(pairs: Pairs) -> Pairs:
    """The same pairs as large as the network's input."""
    edge = (POOL_SIZE - INPUT_SIZE) // 2
    span = slice(edge, edge + INPUT_SIZE)
    return Pairs(
        pairs.real[:, :, span, span],
        pairs.forged[:, :, span, span],
        pairs.mask,
        pairs.family,
        pairs.person,
    )


def _striped(pairs: Pairs) -> Pairs:
    """The same with stripes where the face is: a forgery that nothing can miss."""
    forged = pairs.real.copy()
    forged[:, :, 40:100:4, 40:100] = 255 - forged[:, :, 40:100:4, 40:100]
    mask = np.zeros_like(pairs.mask)
    mask[:, :, 10:25, 10:25] = 255
    return Pairs(pairs.real, forged, mask, pairs.family, pairs.person)


def _stage(frames: int, steps: int) -> Stage:
    return Stage(
        f"smoke{frames}", frames, steps, pairs=4, rate=3e-3, warmup=5, average=0.8, check_every=10
    )


def test_it_overfits_a_few_pairs_and_goes_on_with_clips(pairs: Pairs, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = CLRNet(4, (1, 1, 1, 1), 0.0, 0.2)
    few = _striped(Pairs(*(getattr(pairs, name)[:4] for name in Pairs.__slots__)))
    first = train(model, few, _middle(few), _stage(1, 70), tmp_path, seed=0)
    lines = (tmp_path / "smoke1.jsonl").read_text().splitlines()
    losses = [json.loads(line)["loss"] for line in lines]
    assert losses[-1] < losses[0] - 0.1
    assert held_out_auc(first, _middle(few), 1) > 0.9
    assert images_seen(tmp_path / "smoke1.jsonl") == 70 * 8

    saved = load(tmp_path / "smoke1.pt")
    clips = _middle(few).real[:, :1]
    assert np.allclose(predict(saved, clips), predict(first, clips))

    inflate(saved)
    second = train(saved, few, _middle(few), _stage(5, 4), tmp_path, seed=0)
    assert held_out_auc(second, _middle(few), 5) > 0.9


def test_time_ends_a_stage(pairs: Pairs, tmp_path: Path) -> None:
    stage = Stage("short", 1, 10_000, pairs=1, rate=1e-3, seconds=0.01)
    train(CLRNet(4, (1, 1, 1, 1)), pairs, _middle(pairs), stage, tmp_path, seed=0)
    assert images_seen(tmp_path / "short.jsonl") == 2


def test_twins_are_treated_alike(pairs: Pairs) -> None:
    same = Pairs(pairs.real, pairs.real, pairs.mask, pairs.family, pairs.person)
    clips, labels, mask = next(batches(same, _stage(5, 1), np.random.default_rng(0)))
    assert clips.shape == (8, 5, 3, INPUT_SIZE, INPUT_SIZE)
    assert torch.equal(clips[:4], clips[4:])
    assert clips.min() >= -2
    assert clips.max() <= 2
    assert labels.tolist() == [1] * 4 + [0] * 4
    # Time-major, as the network's features are: the real half of every step has no mask.
    steps = mask.reshape(5, 8, *mask.shape[1:])
    assert not steps[:, :4].any()
    assert steps[:, 4:].any()


def test_the_faster_step_has_the_same_gradients() -> None:
    torch.manual_seed(0)
    model = CLRNet(4, (1, 1, 1, 1), 0.0).double().train()
    clips = torch.randn(3, 1, 3, 48, 48, dtype=torch.float64)

    def gradients() -> dict[str, torch.Tensor]:
        model.zero_grad()
        model(clips).square().sum().backward()
        named = model.named_parameters()
        return {name: each.grad.clone() for name, each in named if each.grad is not None}

    plain = gradients()
    with faster_single_frames(model):
        faster = gradients()
    assert "forward" not in vars(model.stem)
    assert all(torch.allclose(plain[name], grad, atol=1e-9) for name, grad in faster.items())


def test_inflating_keeps_what_single_frames_taught() -> None:
    torch.manual_seed(0)
    model = CLRNet(4, (1, 1, 1, 1), 0.0).eval()
    frame = torch.randn(4, 1, 3, 64, 64)
    with torch.no_grad():
        before = model.features(frame)
        inflate(model)
        assert torch.equal(before, model.features(frame))
        still = model.features(frame.expand(-1, 5, -1, -1, -1)).mean(dim=(1, 3, 4))
    both = torch.stack([still.flatten(), before.mean(dim=(1, 3, 4)).flatten()])
    assert torch.corrcoef(both)[0, 1] > 0.9
