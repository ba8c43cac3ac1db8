"""Optimiser, learning rate, penalty and moving average: what happens to the weights in a step."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from model_export.training.config import OptimiserConfig, ScheduleConfig


def build_optimiser(parameters: Iterable[nn.Parameter], config: OptimiserConfig) -> Any:
    """Adam or AdamW over the parameters that are trained."""
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[config.name]
    return kind(
        [parameter for parameter in parameters if parameter.requires_grad],
        lr=config.rate,
        betas=config.betas,
        weight_decay=config.weight_decay,
        fused=True,
    )


def rate_at(step: int, steps: int, rate: float, schedule: ScheduleConfig) -> float:
    """The learning rate of step ``step`` (from 0) of ``steps``."""
    warm = min(1.0, (step + 1) / schedule.warmup_steps) if schedule.warmup_steps else 1.0
    if schedule.shape == "cosine":
        warm *= 0.5 + 0.5 * math.cos(math.pi * min(step / steps, 1.0))
    return rate * warm


@torch.no_grad()
def add_penalty(parameters: Iterable[nn.Parameter], l2: float) -> None:
    """Add the gradient of l2 * sum of squares to the gradients; the loss itself stays without."""
    for parameter in parameters:
        if l2 and parameter.grad is not None:
            parameter.grad.add_(parameter, alpha=2 * l2)


@torch.no_grad()
def follow(mean: nn.Module, model: nn.Module, decay: float, step: int) -> None:
    """Move the averaged weights and statistics towards ``model`` after step ``step`` (from 1).

    Early on, the plain mean of all steps: random weights should not weigh in it for long.
    """
    decay = min(decay, 1 - 1 / step)
    for ours, theirs in zip(_tensors(mean), _tensors(model), strict=True):
        if ours.is_floating_point():
            ours.lerp_(theirs, 1 - decay)
        else:
            ours.copy_(theirs)


def _tensors(module: nn.Module) -> list[Tensor]:
    return list(module.state_dict().values())
