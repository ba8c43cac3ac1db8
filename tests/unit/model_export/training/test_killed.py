"""A run that is killed, at whatever moment, ends as if it had not been."""

from __future__ import annotations

import multiprocessing
import os
import pkgutil
import signal
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import pytest
import torch

from model_export.training.config import RunConfig
from model_export.training.trainer import train
from tests.unit.model_export.training.test_trainer import losses, same, weights
from tests.unit.model_export.training.tiny import tiny_run

TRAINER = "model_export.training.trainer"
CHECKPOINT = "model_export.training.checkpoint"


def _train_and_die(
    config: RunConfig, folder: Path, seconds: float, owner: str, name: str, call: int
) -> None:
    """In a process of its own: kill it before the ``call``-th call of ``owner``'s ``name``."""
    torch.set_num_threads(1)
    place: Any = pkgutil.resolve_name(owner)
    original, calls = getattr(place, name), 0

    def deadly(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call:
            if name == "save_file":
                args[1].write_bytes(b"half of a file")
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*args, **kwargs)

    setattr(place, name, deadly)
    train(config, folder, checkpoint_seconds=seconds)


@pytest.fixture(scope="module")
def processes() -> ForkServerContext:
    """Processes that are forked from one that has imported everything and computed nothing."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


@pytest.fixture(scope="module")
def config(data: Path) -> RunConfig:
    """Three epochs of three steps, with everything that a checkpoint has to hold."""
    return tiny_run(
        data,
        schedule__epochs=3,
        schedule__accumulate=2,
        schedule__batch=4,
        schedule__shape="cosine",
        average=0.9,
    )


@pytest.fixture(scope="module")
def whole(config: RunConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run that nobody killed."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    train(config, folder)
    return folder


@pytest.mark.parametrize(
    ("seconds", "owner", "name", "call"),
    [
        # In the middle of the first epoch, before and after its checkpoint.
        (60.0, TRAINER, "add_penalty", 2),
        (0.0, TRAINER, "add_penalty", 2),
        # In the middle of the second, resumed from within it and from its beginning.
        (0.0, TRAINER, "follow", 6),
        (60.0, TRAINER, "follow", 6),
        # Half of the weights, and half of a checkpoint, are written.
        (60.0, CHECKPOINT, "save_file", 3),
        (0.0, CHECKPOINT, "save_file", 3),
        # A file is written but does not have its name yet: each one of an epoch in turn, of which
        # the second is a checkpoint that would go with new weights.
        *((60.0, "pathlib:Path", "replace", call) for call in (2, 3, 4)),
        # Everything is trained, but nobody has said so.
        (60.0, TRAINER, "draw_curves", 1),
        (60.0, TRAINER, "write_result", 1),
    ],
)
def test_it_goes_on_to_the_same_bits(
    config: RunConfig,
    whole: Path,
    tmp_path: Path,
    processes: ForkServerContext,
    seconds: float,
    owner: str,
    name: str,
    call: int,
) -> None:
    folder = tmp_path / "run"
    process = processes.Process(
        target=_train_and_die, args=(config, folder, seconds, owner, name, call)
    )
    process.start()
    process.join(300)
    assert process.exitcode == -signal.SIGKILL
    assert not (folder / "result.json").exists()
    train(config, folder)
    assert losses(folder) == losses(whole)
    assert same(weights(folder), weights(whole))
    assert {path.name for path in folder.iterdir()} == {path.name for path in whole.iterdir()}
