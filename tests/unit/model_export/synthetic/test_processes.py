"""Work on several processes: in order, and none of them outlives the one that gave it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console

from model_export.errors import DataError
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
    in_processes(work, [sys.argv[1]] * 2, 2, "sleeping", Console(quiet=True))
"""


def test_results_come_in_order() -> None:
    assert in_processes(abs, [-3, 1, -2], 1, "", QUIET) == [3, 1, 2]
    assert in_processes(abs, [-3, 1, -2], 2, "", QUIET) == [3, 1, 2]


def test_a_process_that_dies_is_said_in_one_sentence() -> None:
    with pytest.raises(DataError, match="a process died"):
        in_processes(os._exit, [3], 2, "", QUIET)


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
