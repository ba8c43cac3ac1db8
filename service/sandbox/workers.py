"""Processes that read hostile media: what the engine uses of the sandbox."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time
from contextvars import Context
from pathlib import Path

from service.errors import ModelError, NotReady
from service.faces.factory import Kind
from service.sandbox.extraction import Extraction
from service.sandbox.job import Job
from service.sandbox.loading import Loading
from service.sandbox.nurse import CANNOT_START, DIED, Child, Nurse
from service.sandbox.ration import Ration
from service.sources.source import Source

_CHILDREN = 500
"""Of one nursery: who probes addresses by crashing children must not have for ever."""

_PAUSES = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0)
"""Seconds before the next start, by how many nurseries in a row have failed; later ones are like
the last."""

_SOUND_SECONDS = 10.0
"""A nursery that dies has failed, unless it had lived so long."""

_ENDS = "the sandbox for videos ends as soon as it starts"

_log = logging.getLogger(__name__)


class Workers:
    """Forks one process for each video from a nursery that is replaced when something goes wrong.

    ``memory``: bytes of address space of each process; ``together``: bytes that all of them may
    hold; ``cpu_seconds``: processor time of each, a backstop behind ``Job.seconds``.

    All children of a nursery have the same addresses, so one crash helps an attacker with the next.
    After it a new nursery is made; until that is ready (a second or five) the old one goes on.
    Where there is none that lives, videos wait for the next; but only for one that had a fair
    chance: see ``missing``.
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
        self._born = 0.0
        """When the nursery was ready, on the monotonic clock."""
        self._failures, self._reason = 0, ""
        """Nurseries in a row that could not start or died at once, and why the last did."""
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
    def missing(self) -> str:
        """Why no video can be read, in words for operators; empty where one can, or is likely to
        in a moment."""
        return "" if self._living or self._failures < 2 else self._reason

    @property
    def alive(self) -> int:
        """Processes that read videos now."""
        return len(self._children())

    async def start(self) -> None:
        """Load everything. Raises ``ModelError``, without folder names."""
        self._nurse = await Nurse.start(self._loading, self._trouble)
        self._born = time.monotonic()

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
        while (nurse := self._nurse) is None or not nurse.alive:
            if self._stopped:
                raise NotReady("stopping", retry_after=5)
            if self.missing:
                raise NotReady(self.missing, retry_after=5)
            # Its end may not have been noticed yet.
            self._trouble(DIED)
            try:
                await asyncio.shield(self._renew())
            except ModelError as error:
                raise NotReady(str(error), retry_after=5) from None
        if nurse.forked >= _CHILDREN:
            self._renew()
        self._ration.watch()
        return nurse.fork()

    def _nurses(self) -> list[Nurse]:
        return [*self._retired, *([self._nurse] if self._nurse else [])]

    def _children(self) -> list[Child]:
        return [child for nurse in self._nurses() for child in nurse.children.values()]

    @property
    def _living(self) -> bool:
        return self._nurse is not None and self._nurse.alive

    def _trouble(self, reason: str) -> None:
        if self._stopped or self._renewal is not None:
            return
        if time.monotonic() - self._born > _SOUND_SECONDS:
            self._failures = 0
        elif not self._living:
            self._failed(_ENDS)
        self.restarts += 1
        _log.warning("sandbox restarted", extra={"fields": {"reason": reason}})
        self._renew()

    def _failed(self, reason: str) -> None:
        self._failures, self._reason = self._failures + 1, reason
        _log.warning("sandbox failed", extra={"fields": {"reason": reason}})

    def _renew(self) -> asyncio.Task[None]:
        if self._renewal is None:
            # Of no request: what it does outlives the one that asked for it.
            nobody = Context()
            self._renewal = asyncio.create_task(self._replace(), context=nobody)
            self._renewal.add_done_callback(self._renewed, context=nobody)
        return self._renewal

    async def _replace(self) -> None:
        await asyncio.sleep(_PAUSES[min(self._failures, len(_PAUSES) - 1)])
        new = await Nurse.start(self._loading, self._trouble)
        old, self._nurse, self._born = self._nurse, new, time.monotonic()
        if old is not None:
            self._retired[old] = asyncio.create_task(self._retire(old))

    async def _retire(self, nurse: Nurse) -> None:
        await nurse.retire()
        del self._retired[nurse]

    def _renewed(self, renewal: asyncio.Task[None]) -> None:
        self._renewal = None
        if renewal.cancelled():
            return
        if (error := renewal.exception()) is not None:
            self._failed(str(error) if isinstance(error, ModelError) else CANNOT_START)
            if not self._stopped:
                self._renew()
        elif not self._living:
            self._trouble(DIED)
