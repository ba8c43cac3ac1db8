"""Rates, penalty and moving average."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from model_export.training.config import ScheduleConfig
from model_export.training.optimiser import add_penalty, follow, rate_at


def test_the_rate_warms_up_and_falls_as_half_a_cosine() -> None:
    schedule = ScheduleConfig(epochs=1, batch=2, warmup_steps=4, shape="cosine")
    rates = [rate_at(step, 100, 2.0, schedule) for step in range(100)]
    assert rates[0] == pytest.approx(0.5)
    assert rates[1] == pytest.approx(1.0, rel=1e-2)
    assert rates[50] == pytest.approx(1.0)
    assert rates[99] < 0.001
    assert rates[4:] == sorted(rates[4:], reverse=True)


def test_a_constant_rate_stays() -> None:
    schedule = ScheduleConfig(epochs=1, batch=2)
    assert {rate_at(step, 9, 0.1, schedule) for step in range(9)} == {0.1}


def test_the_penalty_is_the_gradient_of_l2_times_the_sum_of_squares() -> None:
    torch.manual_seed(0)
    layer, x = nn.Linear(3, 2), torch.randn(4, 3)
    (layer(x).sum() + 0.3 * layer.weight.square().sum()).backward()
    wanted = layer.weight.grad
    layer.weight.grad = None
    layer(x).sum().backward()
    add_penalty([layer.weight], 0.3)
    assert wanted is not None
    torch.testing.assert_close(layer.weight.grad, wanted)


def test_the_average_forgets_where_it_began_and_then_decays() -> None:
    model, mean = nn.BatchNorm1d(1), nn.BatchNorm1d(1)
    nn.init.constant_(mean.weight, 100.0)
    seen = [1.0, 2.0, 6.0]
    for step, value in enumerate(seen, start=1):
        nn.init.constant_(model.weight, value)
        assert model.running_mean is not None
        model.running_mean.fill_(value)
        follow(mean, model, 0.9, step)
    assert mean.weight.item() == pytest.approx(3.0)
    nn.init.constant_(model.weight, 13.0)
    follow(mean, model, 0.9, 1000)
    assert mean.weight.item() == pytest.approx(4.0)
    assert mean.running_mean is not None
    assert mean.running_mean.item() == pytest.approx(0.9 * 3 + 0.1 * 6)
