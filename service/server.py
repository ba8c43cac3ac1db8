"""Serves the app with uvicorn."""

from __future__ import annotations

import resource

import uvicorn

from service import logs
from service.app import create_app
from service.engine import Engine
from service.local_engine import LocalEngine
from service.settings import Settings

_HEADER_BYTES = 16 * 2**10
_KEEP_ALIVE = 15
_GRACE = 30


def config(settings: Settings, engine: Engine, host: str, port: int) -> uvicorn.Config:
    """How uvicorn runs the app."""
    return uvicorn.Config(
        create_app(settings, engine),
        host=host,
        port=port,
        http="h11",
        ws="none",
        lifespan="on",
        server_header=False,
        # Its own line would hold the path and the query; the app writes one without them.
        access_log=False,
        log_config=None,
        proxy_headers=True,
        forwarded_allow_ips=settings.trusted_proxies,
        h11_max_incomplete_event_size=_HEADER_BYTES,
        timeout_keep_alive=_KEEP_ALIVE,
        timeout_graceful_shutdown=_GRACE,
    )


def run(settings: Settings, host: str, port: int) -> None:
    """Serve until a signal ends it."""
    logs.configure()
    _forbid_core_dumps()
    uvicorn.Server(config(settings, LocalEngine(settings), host, port)).run()


def _forbid_core_dumps() -> None:
    # A dump would hold the media. Linux takes 1, not 0, to also mean handlers behind a pipe.
    resource.setrlimit(resource.RLIMIT_CORE, (1, 1))
