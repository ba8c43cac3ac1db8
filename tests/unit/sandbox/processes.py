"""What the kernel knows of the processes of a sandbox; Linux alone."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

from service.sandbox.workers import Workers


def nursery_of(workers: Workers) -> int:
    """Process id of the nursery that forks now."""
    assert workers._nurse is not None
    return workers._nurse._process.pid


def state_of(pid: int) -> str:
    """The letter for what a process does, such as R, S, T (stopped) or Z; empty: it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def children_of(parent: int) -> list[int]:
    """Process ids of all its children, zombies included."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                after_name = (entry / "stat").read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(after_name[1]) == parent:
                found.append(int(entry.name))
    return found


def descriptors(pid: int | str = "self") -> int:
    """How many a process has open."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def peak_memory(pid: int) -> int:
    """Most bytes that a process ever had resident; 0 where it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), 0)


def environment_of(pid: int) -> bytes:
    """What it was started with."""
    return Path(f"/proc/{pid}/environ").read_bytes()


def resident(pid: int) -> int:
    """Bytes that a process has resident now."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def processor_seconds(pid: int) -> float:
    """What a process and its ended children have used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def facts_of(pid: int) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Its status, and soft and hard value of each of its limits, as the kernel names them."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    status = {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
    limits = Path(f"/proc/{pid}/limits").read_text().splitlines()[1:]
    return status, {line[:26].strip(): line[26:].split()[:2] for line in limits}


async def until(holds: Callable[[], object], seconds: float = 30.0) -> None:
    """Wait for something that nobody tells of."""
    async with asyncio.timeout(seconds):
        while True:
            if holds():
                return
            await asyncio.sleep(0.01)
