"""The HTTP application, on whichever engine it is given."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from fastapi import Depends, FastAPI
from fastapi.params import Depends as DependsType
from fastapi.telemetry import TelemetryConfig
from pydantic.json_schema import models_json_schema

from service import __version__
from service.admission import Admission
from service.api import (
    detections,
    docs,
    evaluations,
    health,
    jobs,
    limits,
    models,
    offers,
    page,
    problems,
    scrape,
)
from service.api.access import Access
from service.api.body import Link
from service.api.caller import require_key
from service.api.catch import Catch
from service.api.events import StreamedEvent
from service.api.guard import Guard
from service.api.lines import EvaluationEvent
from service.api.linger import Linger
from service.api.outside import Outside
from service.api.prefix import Prefix
from service.api.readiness import require_ready
from service.api.sharing import Sharing
from service.auth import Keys
from service.engine import Engine
from service.jobs import Jobs
from service.lifecycle import Lifecycle
from service.metrics import Metrics
from service.settings import Settings

_DESCRIPTION = """\
Any video in, per-face per-segment deepfake scores out, with the evidence a person needs to judge
them. Media stay in memory and are gone with the answer.

Every error is a problem document (RFC 9457) with a stable `code`; `GET /problems/{code}` explains
each. Every answer carries an `X-Request-ID`.
"""

_OWN_TELEMETRY: TelemetryConfig = {
    "auto_configure": False,
    "logs": False,
    "metrics": False,
    "tracing": False,
}
"""The framework's would send paths, queries and the texts of exceptions to any collector that the
environment names."""


def create_app(settings: Settings, engine: Engine, metrics: Metrics | None = None) -> FastAPI:
    """Build the application; the engine starts and stops with it.

    ``app.state`` holds its ``lifecycle`` and its ``metrics``.
    """
    metrics = metrics or Metrics()
    metrics.errors(problems.kinds())
    admission = Admission(settings.limits, settings.auth, metrics.shed)
    held = Jobs(settings.jobs, metrics.shed)
    lifecycle = Lifecycle(engine, admission, held, metrics)
    outside = Outside.of(settings, admission.largest, metrics.callback)
    _watch(metrics, settings, lifecycle, admission, held)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        lifecycle.start()
        try:
            yield
        finally:
            await lifecycle.stop()
            await outside.stop()

    app = _Service(
        title="Deepfake detection",
        description=_DESCRIPTION,
        version=__version__,
        lifespan=lifespan,
        openapi_url=None,
        responses=problems.anywhere(),
        servers=[{"url": settings.root_path}] if settings.root_path else None,
        # A redirect would echo the Host header and hide a wrong path.
        redirect_slashes=False,
        telemetry=_OWN_TELEMETRY,
    )
    app.state.lifecycle, app.state.metrics = lifecycle, metrics
    look = lifecycle.readiness
    keys = Keys(settings.auth.keys)
    known = Depends(require_key(keys))

    async def ready() -> None:
        require_ready(look())

    taking = detections.Detections(engine, look, admission, held, metrics, settings, outside)
    app.include_router(detections.router(taking), dependencies=[Depends(ready), known])
    if outside.fetcher is not None:
        judging = evaluations.Evaluations(
            engine, look, admission, metrics, settings, outside.fetcher
        )
        app.include_router(evaluations.router(judging), dependencies=[Depends(ready), known])
    app.include_router(jobs.router(held, settings.server.heartbeat_seconds), dependencies=[known])
    app.include_router(models.router(look), dependencies=[known])
    app.include_router(limits.router(settings.limits), dependencies=[known])
    app.include_router(health.router(look))
    app.include_router(problems.router())
    if settings.server.docs:
        app.include_router(docs.router(app.openapi))
    if settings.server.page:
        # Before the page, whose files have names below the same path.
        app.include_router(offers.router(settings))
        app.include_router(page.router())
    if settings.metrics and not settings.server.metrics_port:
        app.include_router(scrape.router(metrics), dependencies=_scrapers(settings, keys))
    problems.install(app)
    app.add_middleware(Prefix, prefix=settings.root_path, page=settings.server.page)
    _surround(app, settings, metrics)
    return app


def create_metrics_app(settings: Settings, metrics: Metrics) -> FastAPI:
    """The application on the port for metrics alone."""
    app = FastAPI(openapi_url=None, redirect_slashes=False, telemetry=_OWN_TELEMETRY)
    keys = Keys(settings.auth.keys)
    app.include_router(scrape.router(metrics), dependencies=_scrapers(settings, keys))
    problems.install(app)
    _surround(app, settings, metrics)
    return app


def _scrapers(settings: Settings, keys: Keys) -> list[DependsType]:
    """Who may read metrics."""
    return [Depends(require_key(keys))] if settings.auth.metrics_key else []


def _surround(app: FastAPI, settings: Settings, metrics: Metrics) -> None:
    """What every request passes; the last added is the outermost."""
    origins = settings.server.cors_origins
    app.add_middleware(Catch)
    if origins:
        app.add_middleware(Sharing, origins=origins)
    app.add_middleware(Access, metrics=metrics)
    app.add_middleware(Guard, shared=bool(origins))
    app.add_middleware(
        Linger, limit=settings.limits.drain_bytes, seconds=settings.limits.drain_seconds
    )


def _watch(
    metrics: Metrics, settings: Settings, lifecycle: Lifecycle, admission: Admission, held: Jobs
) -> None:
    """Show what is held at the moment of each scrape."""
    state, limits = lifecycle.readiness, settings.limits
    gauges: dict[str, tuple[str, Callable[[], float]]] = {
        "deepfake_ready": (
            "Whether videos can be scored",
            lambda: state().ready and not state().draining,
        ),
        "deepfake_requests_running": ("Videos in work", lambda: state().running),
        "deepfake_requests_waiting": ("Videos waiting for work", lambda: state().waiting),
        "deepfake_clips_waiting": ("Clips waiting for the device", lambda: state().clips_waiting),
        "deepfake_workers": ("Processes that read videos", lambda: state().workers),
        "deepfake_videos_held": (
            "Videos being received, waiting or in work",
            lambda: admission.held,
        ),
        "deepfake_media_bytes": ("Bytes of media held or announced", lambda: admission.media_bytes),
        "deepfake_jobs_held": ("Jobs, in work or with a result", lambda: len(held)),
        "deepfake_jobs_bytes": ("Bytes of results kept", lambda: held.bytes),
        "deepfake_requests_running_limit": (
            "Videos in work, at most",
            lambda: limits.concurrency,
        ),
        "deepfake_videos_limit": (
            "Videos being received, waiting or in work, at most",
            lambda: limits.concurrency + limits.waiting,
        ),
        "deepfake_media_bytes_limit": ("Bytes of media, at most", lambda: limits.media_bytes),
        "deepfake_jobs_limit": ("Jobs, at most", lambda: settings.jobs.most),
    }
    for name, (text, read) in gauges.items():
        metrics.gauge(name, text, read)
    metrics.total(
        "deepfake_worker_restarts_total",
        "Times that what workers come from was made anew after a crash",
        lambda: state().worker_restarts,
    )
    metrics.version(__version__)
    metrics.models(lambda: state().models)


class _Service(FastAPI):
    def openapi(self) -> dict[str, Any]:
        """The schema, with the problem document that every error response refers to."""
        if self.openapi_schema is None:
            schema = super().openapi()
            parts = schema.setdefault("components", {}).setdefault("schemas", {})
            for name, part in _parts().items():
                parts.setdefault(name, part)
            _forget_framework_errors(schema)
        return self.openapi_schema or {}


def _parts() -> dict[str, Any]:
    """Schemas that operations refer to by name alone."""
    _, schema = models_json_schema(
        [
            (problems.Problem, "serialization"),
            (StreamedEvent, "serialization"),
            (EvaluationEvent, "serialization"),
            (Link, "validation"),
        ],
        ref_template="#/components/schemas/{model}",
    )
    parts: dict[str, Any] = schema["$defs"]
    return parts


def _forget_framework_errors(schema: dict[str, Any]) -> None:
    """The framework documents its own 422 for whatever takes a parameter; none is ever sent."""
    for name in ("HTTPValidationError", "ValidationError"):
        schema["components"]["schemas"].pop(name, None)
    for operations in schema["paths"].values():
        for operation in operations.values():
            if "HTTPValidationError" in str(operation["responses"].get("422")):
                del operation["responses"]["422"]
