"""What a program and those it has started hold and use."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from benchmarks.processes import family, memory, processor

BELOW = """
import sys, time
kept = bytearray(b"x") * (64 * 2**20)
while time.process_time() < 0.5: pass
print("ready", flush=True)
sys.stdin.read()
"""
ABOVE = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {BELOW!r}])"


@pytest.fixture
def parent() -> Iterator[subprocess.Popen[bytes]]:
    """A process whose child holds 64 MiB and has used half a second."""
    running = subprocess.Popen(
        [sys.executable, "-c", ABOVE], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert running.stdout is not None
    assert running.stdout.readline() == b"ready\n"
    yield running
    running.communicate()


def test_the_family_counts(parent: subprocess.Popen[bytes]) -> None:
    assert len(family(parent.pid)) == 2
    assert os.getpid() not in family(parent.pid)
    assert memory(parent.pid) > 64 * 2**20
    assert 0.4 < processor(parent.pid) < 30


def test_who_is_gone_holds_nothing() -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()

    assert memory(ended.pid) == 0
    assert processor(ended.pid) == 0
