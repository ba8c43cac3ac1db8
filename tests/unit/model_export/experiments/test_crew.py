"""Trainings in processes side by side: the same weights, and an end without loss."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from model_export.data.prepared import PreparedDataset
from model_export.errors import TrainingError
from model_export.experiments.budget import Budget
from model_export.experiments.crew import train_all
from model_export.experiments.laboratory import Job, Laboratory
from model_export.experiments.strategy import from_scratch, transfer
from model_export.training.checkpoint import CHECKPOINT, WEIGHTS
from tests.unit.model_export.training.tiny import SIZE, tiny_dataset
from tests.unit.sandbox.processes import children_of

JOBS: list[Job] = [
    ("meso4", transfer(["NT"], ["FS"]), 0),
    ("meso4", from_scratch(["FS"]), 0),
]
SCRIPT = """
import sys
from pathlib import Path
from model_export.errors import TrainingError
from model_export.experiments.crew import train_all
from model_export.training.trainer import train
from tests.unit.model_export.experiments.test_crew import JOBS, laboratory

train.__kwdefaults__["checkpoint_seconds"] = 1.5

if __name__ == "__main__":
    try:
        train_all(laboratory(Path(sys.argv[1]), epochs=100_000), JOBS, 2, print)
    except TrainingError as error:
        sys.exit(f"Error: {error}")
"""


def laboratory(folder: Path, runs: str = "runs", epochs: int = 2) -> Laboratory:
    """In ``folder``, where there are clips of FS and NT under ``data``."""
    stage = {"name": "only", "schedule": {"epochs": epochs, "batch": 8, "samples_per_epoch": 8}}
    model = {"stages": [stage], "transfer": [stage]}
    values = {"name": "tiny", "size": SIZE, "few_shot": 2, "models": {"meso4": model}}
    return Laboratory(
        PreparedDataset(folder / "data"), Budget.model_validate(values), folder / runs
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tiny_dataset(tmp_path / "data", videos=3, methods=("FS", "NT"))
    return tmp_path


def weights(folder: Path) -> dict[Path, bytes]:
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob(WEIGHTS)}


def test_side_by_side_and_one_after_the_other_are_the_same(folder: Path) -> None:
    told: list[str] = []
    train_all(laboratory(folder), JOBS, 2, told.append)
    assert told[0] == "3 trainings, 2 at a time"
    # Sources first, and the one that two jobs start from or are only once.
    assert {line.partition(": ")[2] for line in told[1:3]} == {
        "meso4, single FS, seed 0: done",
        "meso4, single NT, seed 0: done",
    }
    assert told[3:] == ["3 of 3: meso4, transfer NT->FS, seed 0: done"]
    before = torch.get_num_threads()
    torch.set_num_threads(max(1, len(os.sched_getaffinity(0)) // 2))
    try:
        alone = laboratory(folder, "alone")
        for job in JOBS:
            alone.scores(alone.train(*job))
    finally:
        torch.set_num_threads(before)
    assert len(weights(folder / "runs")) == 3
    assert weights(folder / "runs") == weights(folder / "alone")
    scored = [len(list((folder / runs).rglob("test-scores-*.csv"))) for runs in ("runs", "alone")]
    assert scored == [3, 2], "side by side each is scored where it was trained"


def test_what_one_training_refuses_ends_all(folder: Path) -> None:
    with pytest.raises(TrainingError, match="says nothing of xception"):
        train_all(laboratory(folder), [("xception", from_scratch(["FS"]), 0)], 2, lambda _: None)


@pytest.mark.parametrize("how", ["terminated", "Ctrl-C", "killed", "out of memory", "no server"])
def test_an_end_keeps_every_step(folder: Path, how: str) -> None:
    script = folder / "run.py"
    script.write_text(SCRIPT)
    process = subprocess.Popen(
        [sys.executable, script, folder],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[4])},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    runs = [folder / "runs/meso4" / name / "seed-0/only" for name in ("single-FS", "single-NT")]
    deadline = time.monotonic() + 60
    while not all((run / CHECKPOINT).exists() for run in runs):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)
    server = max(children_of(process.pid))
    children = [*children_of(process.pid), *children_of(server)]
    told = time.time()
    if how == "terminated":
        process.terminate()
    elif how == "Ctrl-C":
        os.killpg(process.pid, signal.SIGINT)
    elif how == "killed":
        process.kill()
    else:
        os.kill(max(children) if how == "out of memory" else server, signal.SIGKILL)
    _, said = process.communicate(timeout=30)
    if how != "killed":
        stopped = how in ("terminated", "Ctrl-C")
        assert ("Error: stopped" if stopped else "the process died (exit status ") in said
        assert "Traceback" not in said
        assert process.returncode == 1
    while any(Path(f"/proc/{child}").exists() for child in children):
        assert time.time() < told + 30
        time.sleep(0.1)
    if how in ("terminated", "Ctrl-C", "killed"):
        assert all((run / CHECKPOINT).stat().st_mtime > told for run in runs)
