"""Processes that read hostile media: what the engine uses of the sandbox."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from service.errors import ModelError, NotReady
from service.faces.factory import Kind
from service.sandbox.extraction import Extraction
from service.sandbox.job import Job
from service.sandbox.loading import Loading
from service.sandbox.nurse import Child, Nurse
from service.sandbox.ration import Ration
from service.sources.source import Source

_CHILDREN = 500
"""Of one nursery: who probes addresses by crashing children must not have for ever."""


class Workers:
    """Forks one process for each video from a nursery that is replaced when something goes wrong.

    ``memory``: bytes of address space of each process; ``together``: bytes that all of them may
    hold; ``cpu_seconds``: processor time of each, a backstop behind ``Job.seconds``.

    All children of a nursery have the same addresses, so one crash helps an attacker with the next.
    After it a new nursery is made; until that is ready (a second or five) the old one goes on.
    """

    def __init__(
        self,
        *,
        detector: Kind = "auto",
        detector_path: Path | None = None,
        memory: int,
        together: int = sys.maxsize,
        cpu_seconds: float,
    ) -> None:
        path = None if detector_path is None else str(detector_path.absolute())
        self._loading = Loading(os.getpid(), detector, path, memory, cpu_seconds)
        self._nurse: Nurse | None = None
        self._renewal: asyncio.Task[None] | None = None
        self._retired: dict[Nurse, asyncio.Task[None]] = {}
        self._ration = Ration(together, self._children)
        self._stopped = False
        self.restarts = 0
        """Nurseries replaced because a child crashed or they died."""

    @property
    def detector(self) -> str:
        """The face detector's name for reports; empty before ``start``."""
        return self._nurse.detector if self._nurse else ""

    @property
    def layers(self) -> tuple[str, ...]:
        """What confines the processes on this system."""
        return self._nurse.layers if self._nurse else ()

    @property
    def alive(self) -> int:
        """Processes that read videos now."""
        return len(self._children())

    async def start(self) -> None:
        """Load everything. Raises ``ModelError``, without folder names."""
        self._nurse = await Nurse.start(self._loading, self._trouble)

    async def stop(self) -> None:
        """End all processes and wait for them."""
        self._stopped = True
        if self._renewal is not None:
            self._renewal.cancel()
            await asyncio.wait([self._renewal])
        for retiring in self._retired.values():
            retiring.cancel()
        self._ration.stop()
        await asyncio.gather(*(nurse.stop() for nurse in self._nurses()))
        self._nurse = None

    def extract(self, source: Source, job: Job) -> Extraction:
        """Extraction of one video, in a process of its own; an asynchronous context."""
        return Extraction(self._child, source, job)

    async def _child(self) -> Child:
        """A new process. Raises ``NotReady`` where none can be had."""
        while self._nurse is None or not self._nurse.alive:
            if self._stopped:
                raise NotReady("stopping", retry_after=5)
            try:
                await asyncio.shield(self._renew())
            except ModelError as error:
                raise NotReady(str(error), retry_after=5) from None
        if self._nurse.forked >= _CHILDREN:
            self._renew()
        self._ration.watch()
        return self._nurse.fork()

    def _nurses(self) -> list[Nurse]:
        return [*self._retired, *([self._nurse] if self._nurse else [])]

    def _children(self) -> list[Child]:
        return [child for nurse in self._nurses() for child in nurse.children.values()]

    def _trouble(self) -> None:
        if not self._stopped and self._renewal is None:
            self.restarts += 1
            self._renew()

    def _renew(self) -> asyncio.Task[None]:
        if self._renewal is None:
            self._renewal = asyncio.create_task(self._replace())
            self._renewal.add_done_callback(self._renewed)
        return self._renewal

    async def _replace(self) -> None:
        new = await Nurse.start(self._loading, self._trouble)
        old, self._nurse = self._nurse, new
        if old is not None:
            self._retired[old] = asyncio.create_task(self._retire(old))

    async def _retire(self, nurse: Nurse) -> None:
        await nurse.retire()
        del self._retired[nurse]

    def _renewed(self, renewal: asyncio.Task[None]) -> None:
        self._renewal = None
        if not renewal.cancelled():
            renewal.exception()  # Whoever waits gets it; nobody else needs it.
