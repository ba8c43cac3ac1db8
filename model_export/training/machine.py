"""What a run asks of the machine, and what it says where that is not there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from errno import EDQUOT, EFBIG, ENOSPC
from pathlib import Path

import torch

from model_export.errors import TrainingError


@contextmanager
def repeatable(device: torch.device) -> Iterator[None]:
    """Within, a CPU computes the same bits each time; denormal numbers, which are slow, are 0."""
    before = torch.are_deterministic_algorithms_enabled()
    filled = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    torch.set_flush_denormal(True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.use_deterministic_algorithms(device.type == "cpu" or before)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)
        torch.utils.deterministic.fill_uninitialized_memory = filled  # type: ignore[attr-defined]
        torch.set_flush_denormal(False)  # As every process starts; it cannot be asked for.


@contextmanager
def explained(folder: Path) -> Iterator[None]:
    """Turn what a machine lacks into ``TrainingError``: room in ``folder``, or a GPU's memory."""
    try:
        yield
    except OSError as error:
        if not _concerns(error, folder):
            raise
        raise TrainingError(
            f"{folder} cannot be written: {error.strerror or error}. What was written before is "
            "kept; make room and run the same command again to go on from there"
        ) from error
    except torch.OutOfMemoryError as error:
        raise TrainingError(
            "the GPU's memory is too small: lower schedule.batch, raise schedule.accumulate"
        ) from error


def _concerns(error: OSError, folder: Path) -> bool:
    """Whether it was ``folder`` that could not be written: workers, sockets and whatever else a run
    reads fail with an ``OSError`` too. One without a path is of TensorBoard's writer, if the disk
    is full: nothing else is written."""
    if isinstance(error.filename, str):
        return Path(error.filename).resolve().is_relative_to(folder.resolve())
    return error.errno in (ENOSPC, EDQUOT, EFBIG)
