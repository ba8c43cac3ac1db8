"""Start, drain, reload and stop of one service."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import replace

from service.admission import Admission
from service.engine import Engine, Readiness
from service.errors import ModelError
from service.jobs import Jobs
from service.logs import origin
from service.metrics import Metrics

_LOOK_SECONDS = 0.05
"""How often a draining service looks whether it is done."""

_log = logging.getLogger("service")


class Lifecycle:
    """Takes an engine, and the requests in front of it, through their life."""

    def __init__(self, engine: Engine, admission: Admission, jobs: Jobs, metrics: Metrics) -> None:
        self._engine, self._admission, self._jobs = engine, admission, jobs
        self._metrics = metrics
        self._starting: asyncio.Task[None] | None = None
        self._reloading: asyncio.Task[None] | None = None
        self._wanted = self._stopped = False

    def readiness(self) -> Readiness:
        """The engine's state; a service that drains says so before its engine does."""
        state = self._engine.readiness()
        return replace(state, draining=state.draining or self._admission.closed)

    def start(self) -> None:
        """Begin to load; until that is done, readiness names what is missing."""
        self._starting = asyncio.create_task(self._start())

    async def started(self) -> None:
        """Wait until loading is over, however it went."""
        if self._starting is not None:
            await asyncio.wait([self._starting])

    def reload(self) -> None:
        """Begin to load the models anew, after what is being loaded now; the log tells how it
        went."""
        if self._admission.closed:
            return
        self._wanted = True
        if self._reloading is None or self._reloading.done():
            self._reloading = asyncio.create_task(self._reload_wanted())

    async def drain(self, seconds: float) -> None:
        """Take no new videos; wait until those taken are scored, lists have told their end, and
        results of jobs have been fetched, but no longer than this. Then cancel what is left."""
        self._admission.closed = True
        _log.info("draining", extra={"fields": {"held": self._admission.held}})
        until = time.monotonic() + seconds
        # Looking now and then is simpler than being told by everything that may end.
        while time.monotonic() < until and self._busy():  # noqa: ASYNC110
            await asyncio.sleep(_LOOK_SECONDS)
        cut_off = {"held": self._admission.held, "unfetched": self._jobs.unfetched}
        _log.info("drained", extra={"fields": cut_off})
        await self.stop()

    def _busy(self) -> bool:
        admission = self._admission
        return bool(admission.held or admission.lists or self._jobs.unfetched)

    async def stop(self) -> None:
        """Cancel what runs and release everything; again does nothing."""
        if self._stopped:
            return
        self._stopped = self._admission.closed = True
        for task in (self._starting, self._reloading):
            if task is not None:
                task.cancel()
                await asyncio.wait([task])
        await self._engine.stop()

    async def _start(self) -> None:
        try:
            await self._engine.start()
        except Exception as error:
            _log.critical("start failed", extra={"fields": origin(error)})
        else:
            self._metrics.serving(self._engine.readiness().models)

    async def _reload_wanted(self) -> None:
        await self.started()
        while self._wanted:
            self._wanted = False
            await self._reload()

    async def _reload(self) -> None:
        _log.info("reloading")
        try:
            await self._engine.reload()
        except Exception as error:
            told = {"reason": str(error)} if isinstance(error, ModelError) else origin(error)
            _log.error("reload failed", extra={"fields": told})
            self._metrics.reload("failed")
        else:
            served = self._engine.readiness().models
            models = [{"name": each.contract.name, "sha256": each.sha256} for each in served]
            _log.info("reloaded", extra={"fields": {"models": models}})
            self._metrics.serving(served)
            self._metrics.reload("done")
