"""Two processes share a run as one process would take both their batches."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch

from model_export.errors import TrainingError
from model_export.training import trainer
from model_export.training.checkpoint import WEIGHTS, build_model, load_run
from model_export.training.config import RunConfig
from model_export.training.distributed import spawn
from tests.unit.model_export.training.tiny import TINY_CLRNET, tiny_dataset, tiny_run


def train_without_chance(config: RunConfig, folder: Path) -> None:
    """Batch norms and dropout in inference mode: what is left does not depend on who computes."""
    torch.set_num_threads(1)
    with mock.patch.object(trainer, "training_mode", lambda module: module.eval()):
        trainer.train(config, folder)


def fail(name: str) -> None:
    raise TrainingError(f"{name} cannot be")


@pytest.mark.parametrize(
    ("batch", "steps"),
    [
        (4, 6),
        (16, 2),  # Of the 24 clips of an epoch, one process sees 16 and the other 8.
    ],
)
def test_two_processes_average_their_gradients_and_write_once(
    batch: int, steps: int, tmp_path: Path
) -> None:
    data = tiny_dataset(tmp_path / "data")
    # Adam does not mind the size of gradients; beside a penalty it shows.
    common: dict[str, Any] = {
        "model": {**TINY_CLRNET, "length": 1},
        "optimiser__l2": 0.1,
        "schedule__batch": batch,
        "schedule__epochs": 2,
    }
    shared = tiny_run(data, **common)
    alone = tiny_run(data, **common, schedule__accumulate=2)
    spawn(2, train_without_chance, shared, tmp_path / "shared")
    train_without_chance(alone, tmp_path / "alone")
    ours, theirs = (load_run(tmp_path / name)[0].state_dict() for name in ("shared", "alone"))
    torch.manual_seed(alone.seed)
    start = build_model(alone.model).state_dict()
    for name, values in ours.items():
        torch.testing.assert_close(values, theirs[name], atol=2e-5, rtol=1e-4)
    moved = max(float((values - start[name]).abs().max()) for name, values in ours.items())
    assert moved > 1e-2, "what stands still agrees with everything"
    results = [json.loads((tmp_path / n / "result.json").read_text()) for n in ("shared", "alone")]
    assert [(each["steps"], each["samples"]) for each in results] == [(steps, 48)] * 2
    with (tmp_path / "shared" / "log.csv").open() as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["1", "2"]
    assert len(list((tmp_path / "shared" / "tensorboard").iterdir())) == 1
    assert (tmp_path / "shared" / WEIGHTS).exists()
    with pytest.raises(TrainingError, match="devices is 2 there and 1 here"):
        trainer.train(shared, tmp_path / "shared")


def test_what_a_process_refuses_is_said_once() -> None:
    with pytest.raises(TrainingError, match=r"^this cannot be$"):
        spawn(2, fail, "this")
