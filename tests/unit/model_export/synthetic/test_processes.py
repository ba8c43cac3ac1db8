"""Work on several processes: in order, and none of them outlives the one that gave it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
from rich.console import Console

from model_export.errors import DataError
from model_export.synthetic import processes
from model_export.synthetic.processes import in_processes

QUIET = Console(quiet=True)

SCRIPT = """
import os, sys, time
from pathlib import Path
from rich.console import Console
from model_export.synthetic.processes import in_processes

def work(folder):
    Path(folder, str(os.getpid())).touch()
    time.sleep(600)

if __name__ == "__main__":
    in_processes(work, work, [sys.argv[1]] * 2, 2, "sleeping", Console(quiet=True))
"""


def die_of_3(thing: int) -> str:
    if thing == 3:
        os.kill(os.getpid(), signal.SIGSEGV)
    return f"{thing} done"


def gone(thing: int) -> str:
    return f"{thing} lost"


@pytest.mark.parametrize("count", [1, 2])
def test_results_come_in_order(count: int) -> None:
    assert in_processes(abs, abs, [-3, 1, -2], count, "", QUIET) == [3, 1, 2]
    assert in_processes(abs, abs, [], count, "", QUIET) == []


@pytest.mark.parametrize("count", [1, 2])
def test_a_process_that_dies_costs_what_it_worked_on_alone(count: int) -> None:
    found = in_processes(die_of_3, gone, [1, 3, 2, 3, 5], count, "", QUIET)
    assert found == ["1 done", "3 lost", "2 done", "3 lost", "5 done"]


def test_where_no_process_can_start_nothing_is_lost_but_the_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(processes, "_begin", partial(os._exit, 1))
    with pytest.raises(DataError, match="died as soon as it started"):
        in_processes(abs, abs, [3], 1, "", QUIET)


def test_no_process_outlives_a_killed_run(tmp_path: Path) -> None:
    script, folder = tmp_path / "run.py", tmp_path / "pids"
    script.write_text(SCRIPT)
    folder.mkdir()
    with subprocess.Popen([sys.executable, script, folder]) as run:
        try:
            assert _within(60, lambda: len(list(folder.iterdir())) == 2)
        finally:
            run.send_signal(signal.SIGKILL)
    children = [int(path.name) for path in folder.iterdir()]
    assert _within(20, lambda: not any(Path(f"/proc/{child}").exists() for child in children))


def _within(seconds: float, condition) -> bool:  # type: ignore[no-untyped-def]
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True
