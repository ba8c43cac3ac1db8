"""What a run asks of the machine ends with the run."""

from __future__ import annotations

from errno import ENOENT, ENOSPC
from pathlib import Path

import pytest
import torch

from model_export.errors import TrainingError
from model_export.training.machine import explained, repeatable

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


@pytest.mark.parametrize(
    "error",
    [
        OSError(ENOSPC, "No space left", "runs/../runs/a/log.csv"),
        OSError(ENOSPC, "No space left"),
    ],
)
def test_a_folder_that_cannot_be_written_is_named(error: OSError) -> None:
    with pytest.raises(TrainingError, match="runs/a cannot be written: No space left"):
        fail(error)


@pytest.mark.parametrize(
    "error",
    [
        OSError(ENOENT, "No such file", "prepared/clips/a.safetensors"),
        OSError(ENOENT, "No such file", "runs/ab/log.csv"),
        ConnectionResetError("a worker is gone"),
    ],
)
def test_another_error_is_not_the_folder_s_fault(error: OSError) -> None:
    with pytest.raises(type(error)) as raised:
        fail(error)
    assert raised.value is error


def fail(error: OSError) -> None:
    with explained(Path("runs/a")):
        raise error
