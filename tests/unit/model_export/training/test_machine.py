"""What a run asks of the machine ends with the run."""

from __future__ import annotations

import torch

from model_export.training.machine import repeatable

TINY = 1e-40
"""A denormal number in float32."""


def doubled() -> float:
    return float(torch.tensor([TINY], dtype=torch.float32).mul(2).item())


def test_denormals_are_zero_within_and_numbers_again_after() -> None:
    torch.set_flush_denormal(False)
    filled = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    with repeatable(torch.device("cpu")):
        assert doubled() == 0
        assert torch.are_deterministic_algorithms_enabled()
    assert doubled() > 0
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.utils.deterministic.fill_uninitialized_memory == filled  # type: ignore[attr-defined]
