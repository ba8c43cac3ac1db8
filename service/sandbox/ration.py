"""What all readers of videos may hold in memory together, and how much memory there is at all.

Each has a bound of its own, but those that are halted keep what they have: many at once can hold
many times what the few that run do. Linux alone; elsewhere nobody says what a process holds.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from operator import itemgetter
from pathlib import Path, PurePosixPath

from service.sandbox.nurse import Child

_LOOK_SECONDS = 0.1
"""A process that does nothing else can take some hundred megabytes in this time."""

_OWN = ("RssAnon", "RssShmem")
"""Memory that is not the contents of files, as the kernel names it."""


class Ration:
    """Ends readers for as long as all of them hold more than ``most`` bytes, who has most first."""

    def __init__(self, most: int, readers: Callable[[], Sequence[Child]]) -> None:
        self._most, self._readers = most, readers
        self._watching: asyncio.Task[None] | None = None

    def watch(self) -> None:
        """Look now and then, until nobody reads any more."""
        if self._watching is None or self._watching.done():
            self._watching = asyncio.create_task(self._watch())

    def stop(self) -> None:
        """Look no more."""
        if self._watching is not None:
            self._watching.cancel()

    async def _watch(self) -> None:
        while readers := self._readers():
            # Who has been killed already gives back what it holds.
            self._enforce([(_share(child), child) for child in readers if not child.unwanted])
            await asyncio.sleep(_LOOK_SECONDS)

    def _enforce(self, shares: list[tuple[int, Child]]) -> None:
        together = sum(share for share, _ in shares)
        for share, child in sorted(shares, key=itemgetter(0), reverse=True):
            if together <= self._most:
                return
            together -= share
            child.greedy = True
            child.kill()


def _share(child: Child) -> int:
    """What a child holds beyond what it has in common with its nursery."""
    return max(0, held(child.pid) - held(child.nurse.pid))


def held(pid: int | None) -> int:
    """Bytes of memory that a process has for itself or shares with its like; 0 where it is gone,
    or where nobody knows."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(_OWN))


def available(groups: Path = Path("/sys/fs/cgroup"), mine: Path = Path("/proc/self/cgroup")) -> int:
    """Bytes of memory that this machine has, or what the control groups leave of them."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([machine, *_bounds(groups, mine)])


def _bounds(groups: Path, mine: Path) -> Iterator[int]:
    with suppress(OSError):
        for line in mine.read_text().splitlines():
            _, kinds, path = line.split(":", 2)
            if kinds in ("", "memory"):
                folder, name = groups / kinds, "memory.limit_in_bytes" if kinds else "memory.max"
                group = PurePosixPath(path).relative_to("/")
                # The groups around count as well. In a container that has a tree of its own, the
                # path may still be that of the machine's.
                for each in (group, *group.parents):
                    with suppress(OSError, ValueError):
                        yield int((folder / each / name).read_text())
