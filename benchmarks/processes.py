"""Memory and processor time of a program with all the processes it has started; Linux alone."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

GONE = (FileNotFoundError, ProcessLookupError)


def family(pid: int) -> list[int]:
    """A process and all below it."""
    found, waiting = [], [pid]
    while waiting:
        found.append(waiting.pop())
        for children in Path(f"/proc/{found[-1]}").glob("task/*/children"):
            with suppress(*GONE):
                waiting += map(int, children.read_text().split())
    return found


def memory(pid: int) -> int:
    """Bytes of the family. A page that several share counts once; but whole for each of them where
    the kernel does not let us see who shares it."""
    return sum(map(_own_memory, family(pid)))


def _own_memory(pid: int) -> int:
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except (PermissionError, *GONE):
        pass
    try:
        pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
    except GONE:
        return 0
    return int(pages) * os.sysconf("SC_PAGESIZE")


def processor(pid: int) -> float:
    """Seconds of processor time that the family has used, those who ended included."""
    total = 0
    for each in family(pid):
        with suppress(*GONE):
            fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
            total += sum(map(int, fields[11:15]))
    return total / os.sysconf("SC_CLK_TCK")


class Peak:
    """The most memory seen."""

    def __init__(self) -> None:
        self.bytes = 0


@contextmanager
def watched(pid: int, pause: float = 0.1) -> Iterator[Peak]:
    """Look at the family's memory again and again during the block."""
    peak, ended = Peak(), threading.Event()

    def look() -> None:
        while not ended.is_set():
            peak.bytes = max(peak.bytes, memory(pid))
            time.sleep(pause)

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield peak
    finally:
        ended.set()
        watcher.join()
