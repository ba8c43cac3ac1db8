"""Pieces of megabytes are not fetched from the kernel at every step."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

STEPS = """
import resource, sys, torch
from model_export.training.memory import keep_freed_memory
if sys.argv[1] == "kept":
    keep_freed_memory()
for number in range(40):
    if number == 20:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(16 * 2**20)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(how: str) -> int:
    done = subprocess.run([sys.executable, "-c", STEPS, how], capture_output=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's behaviour is changed")
def test_freed_memory_is_kept() -> None:
    # 64 MiB, twenty times: 327,680 pages of 4 KiB, unless the kernel gives huge ones.
    assert page_faults("kept") < 0.3 * page_faults("given back")
