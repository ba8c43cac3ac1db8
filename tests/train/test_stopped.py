"""A run whose processes are all told to end saves its last step first."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from model_export.training import trainer
from model_export.training.checkpoint import CHECKPOINT, read_state
from model_export.training.config import RunConfig
from model_export.training.distributed import spawn
from tests.unit.model_export.training.tiny import tiny_dataset, tiny_run

ACCUMULATED = 4
"""More batches than a worker reads ahead: the step that is stopped needs its worker."""

SCRIPT = """
import sys
from pathlib import Path
from model_export.errors import TrainingError
from tests.train.test_stopped import start

if __name__ == "__main__":
    try:
        start(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
    except TrainingError as error:
        sys.exit(f"Error: {error}")
"""


def config(data: Path) -> RunConfig:
    return tiny_run(
        data,
        workers=1,
        schedule__epochs=3,
        schedule__batch=2,
        schedule__accumulate=ACCUMULATED,
    )


def start(data: Path, folder: Path, devices: int) -> None:
    """Train, and end all processes of the group in the middle of the second step."""
    if devices > 1:
        spawn(devices, train_until_told, config(data), folder)
    else:
        train_until_told(config(data), folder)


def train_until_told(run: RunConfig, folder: Path) -> None:
    torch.set_num_threads(1)
    original, calls = trainer.islice, 0

    def telling(batches: Any, count: int) -> Any:
        nonlocal calls
        calls += 1
        if calls == 2 and os.environ.get("RANK", "0") == "0":
            os.killpg(0, signal.SIGTERM)
            time.sleep(1.0)  # Whoever ends at once has ended then.
        return original(batches, count)

    trainer.islice = telling  # type: ignore[assignment, misc]
    trainer.train(run, folder)


@pytest.mark.parametrize("devices", [1, 2])
def test_sigterm_to_all_processes_keeps_the_last_step(devices: int, tmp_path: Path) -> None:
    data, folder = tiny_dataset(tmp_path / "data"), tmp_path / "run"
    script = tmp_path / "run.py"
    script.write_text(SCRIPT)
    ended = subprocess.run(
        [sys.executable, script, data, folder, str(devices)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        start_new_session=True,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ended.returncode == 1, ended.stderr
    assert "Error: stopped at epoch" in ended.stderr
    state = read_state(folder / CHECKPOINT)
    assert state["position"]["step"] == 2
    assert f"The checkpoint of step 2 is kept in {folder}" in ended.stderr
