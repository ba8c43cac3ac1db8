"""Weights on disk: whole or refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from model_export.errors import TrainingError
from model_export.training.checkpoint import (
    WEIGHTS,
    load_optimiser,
    load_run,
    optimiser_tensors,
    read_best,
    read_tensors,
    replace_tensors,
)
from model_export.training.trainer import train
from tests.unit.model_export.training.tiny import tiny_run


def test_arrays_and_text_come_back(tmp_path: Path) -> None:
    path = tmp_path / "some.safetensors"
    state = {"rows": [1.1, 0.1 + 0.2], "none": None}
    replace_tensors(path, {"a/b": torch.arange(3), "c": torch.tensor(2.5)}, state)
    tensors, back = read_tensors(path)
    assert back == state
    assert torch.equal(tensors["a/b"], torch.arange(3))
    assert tensors["c"].item() == 2.5
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


def test_whoever_may_read_other_files_may_read_weights(tmp_path: Path) -> None:
    replace_tensors(tmp_path / "weights", {"a": torch.zeros(1)}, {})
    (tmp_path / "other").touch()
    assert (tmp_path / "weights").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_an_optimiser_goes_on_as_it_would_have() -> None:
    def step(parameter: torch.nn.Parameter, optimiser: torch.optim.Optimizer) -> None:
        parameter.grad = parameter.detach().sin()
        optimiser.step()

    ours = torch.nn.Parameter(torch.linspace(-1, 1, 5))
    first = torch.optim.Adam([ours], 0.1, fused=True)
    step(ours, first)
    theirs = torch.nn.Parameter(ours.detach().clone())
    second = torch.optim.Adam([theirs], 0.1, fused=True)
    load_optimiser(second, {name: t.clone() for name, t in optimiser_tensors(first).items()})
    step(ours, first)
    step(theirs, second)
    assert torch.equal(ours, theirs)


def test_a_run_without_weights_or_with_damaged_ones_is_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="not the folder of a run"):
        load_run(tmp_path)
    train(tiny_run(data, schedule__epochs=1), tmp_path / "run")
    path = tmp_path / "run" / WEIGHTS
    best = read_best(tmp_path / "run")
    assert best is not None
    assert best.epoch == 1
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(TrainingError, match=rf"{WEIGHTS} cannot be read"):
        load_run(tmp_path / "run")
    path.unlink()
    with pytest.raises(TrainingError, match="no weights yet"):
        load_run(tmp_path / "run")
