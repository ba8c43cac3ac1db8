"""Ways in processes of their own, and what becomes of them when they fail."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.worker import NotRun, Task, Worker, clips

MODULE = "tests.unit.benchmarks.echo"
TASK = Task("", frames=5, side=8, threads=2, device="cpu")


@pytest.fixture
def worker() -> Iterator[Worker]:
    worker = Worker(MODULE, TASK)
    yield worker
    worker.close()


def test_scores_the_same_clips_each_time(worker: Worker) -> None:
    assert worker.runs_on == "2 threads"
    first, second = worker.run(2), worker.run(2)

    assert first.scores == pytest.approx(clips(2, 5, 8).mean(axis=(1, 2, 3, 4)).tolist())
    assert second.scores == first.scores
    assert first.processor > 0


def test_says_why_a_way_cannot_be_measured() -> None:
    with pytest.raises(NotRun, match=r"NotRun: no GPU$"):
        Worker(MODULE, Task("", 5, 8, 2, "cuda"))


def test_says_that_a_process_has_ended(worker: Worker) -> None:
    with pytest.raises(NotRun, match="ended with status 7"):
        worker.run(3)


def test_says_that_an_environment_is_missing(tmp_path: Path) -> None:
    with pytest.raises(NotRun, match="scripts/setup benchmarks"):
        Worker(MODULE, TASK, tmp_path / "python")
