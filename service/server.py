"""Serves the app with uvicorn: signals, hardening of the process, the port for metrics."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

import uvicorn
from fastapi import FastAPI

from service import hardening, logs, tracing
from service.app import create_app, create_metrics_app
from service.engine import Engine
from service.lifecycle import Lifecycle
from service.metrics import Metrics
from service.settings import Settings
from service.wire import HEAD_BYTES, protocol

_KEEP_ALIVE = 15
_GRACE = 2
"""Seconds between the end of draining, when all work is cancelled, and that of connections."""


class Server(uvicorn.Server):
    """The service on its port or ports.

    SIGTERM and SIGINT drain: readiness fails at once, new videos are refused, those taken are
    finished, and then it stops; a second signal stops it now. SIGHUP loads the models anew.
    """

    def __init__(
        self,
        settings: Settings,
        engine: Engine,
        host: str,
        port: int,
        metrics: Metrics | None = None,
    ) -> None:
        metrics = metrics or Metrics()
        app = create_app(settings, engine, metrics)
        super().__init__(config(settings, app, metrics, host, port))
        self._lifecycle: Lifecycle = app.state.lifecycle
        self._drain_seconds = settings.server.drain_seconds
        self._draining: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._scraped: uvicorn.Server | None = None
        if settings.server.metrics_port:
            other = create_metrics_app(settings, metrics)
            self._scraped = _Inner(
                config(settings, other, metrics, host, settings.server.metrics_port)
            )
        metrics.gauge(
            "http_connections", "Open connections", lambda: len(self.server_state.connections)
        )

    async def startup(self, sockets: Any = None) -> None:
        """Open the ports."""
        self._loop = asyncio.get_running_loop()
        if threading.current_thread() is threading.main_thread():
            self._loop.add_signal_handler(signal.SIGHUP, self._lifecycle.reload)
        await super().startup(sockets)
        if self._scraped is not None:
            self._scraping = asyncio.create_task(self._scraped.serve())

    async def shutdown(self, sockets: Any = None) -> None:
        """Close them."""
        await super().shutdown(sockets)
        if self._scraped is not None:
            self._scraped.should_exit = True
            await self._scraping

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal to end; called between two lines of whatever runs."""
        if self._draining is None and self._loop is not None:
            self._loop.call_soon_threadsafe(self.drain)
        else:
            super().handle_exit(sig, frame)

    def drain(self) -> None:
        """Begin to end."""
        if self._draining is None:
            self._draining = asyncio.create_task(self._drain())

    async def _drain(self) -> None:
        await self._lifecycle.drain(self._drain_seconds)
        self.should_exit = True


class _Inner(uvicorn.Server):
    """A server inside another, which has the signals."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave them alone."""
        yield


def config(
    settings: Settings, app: FastAPI, metrics: Metrics, host: str, port: int
) -> uvicorn.Config:
    """How uvicorn runs an app."""
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        # What a connection reads at a time is asyncio's to say, and no other loop's.
        loop="asyncio",
        http=protocol(settings.limits, metrics, settings.trusted_proxies),  # type: ignore[arg-type]
        ws="none",
        lifespan="on",
        server_header=False,
        # Its own line would hold the path and the query; the app writes one without them.
        access_log=False,
        log_config=None,
        proxy_headers=True,
        forwarded_allow_ips=settings.trusted_proxies,
        h11_max_incomplete_event_size=HEAD_BYTES,
        timeout_keep_alive=_KEEP_ALIVE,
        timeout_graceful_shutdown=_GRACE,
    )


def run(settings: Settings, host: str, port: int) -> None:
    """Serve until a signal ends it."""
    logs.configure(settings.log_level)
    hardening.forbid_dumps()
    hardening.forbid_files()
    from service.local_engine import LocalEngine

    end_tracing = tracing.configure() if settings.tracing else None
    metrics = Metrics()
    try:
        Server(settings, LocalEngine(settings, metrics.batch), host, port, metrics).run()
    finally:
        if end_tracing is not None:
            end_tracing()
