"""The HTTP application, on whichever engine it is given."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI

from service import __version__
from service.api import detections, health, limits, models, problems, scrape
from service.api.access import Access
from service.api.linger import Linger
from service.api.prefix import Prefix
from service.engine import Engine
from service.metrics import Metrics
from service.settings import Settings

_DESCRIPTION = """\
Any video in, per-face per-segment deepfake scores out, with the evidence a person needs to judge
them. Media stay in memory and are gone with the answer.

Every error is a problem document (RFC 9457) with a stable `code`; `GET /problems/{code}` explains
each. Every answer carries an `X-Request-ID`.
"""


def create_app(settings: Settings, engine: Engine) -> FastAPI:
    """Build the application; the engine starts and stops with it."""
    metrics = Metrics(engine)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await engine.start()
        try:
            yield
        finally:
            await engine.stop()

    app = _Service(
        title="Deepfake detection",
        description=_DESCRIPTION,
        version=__version__,
        lifespan=lifespan,
        redoc_url=None,
        # A redirect would echo the Host header and hide a wrong path.
        redirect_slashes=False,
    )
    app.include_router(detections.router(engine, settings.limits, metrics))
    app.include_router(limits.router(settings.limits))
    app.include_router(models.router(engine))
    app.include_router(health.router(engine))
    app.include_router(problems.router())
    if settings.metrics:
        app.include_router(scrape.router(metrics))
    problems.install(app)
    # The last added is the outermost.
    app.add_middleware(Prefix, prefix=settings.root_path)
    app.add_middleware(Access, metrics=metrics)
    app.add_middleware(
        Linger, limit=settings.limits.drain_bytes, seconds=settings.limits.drain_seconds
    )
    return app


class _Service(FastAPI):
    def openapi(self) -> dict[str, Any]:
        """The schema, with the problem document that every error response refers to."""
        if self.openapi_schema is None:
            schema = super().openapi()
            parts = schema.setdefault("components", {}).setdefault("schemas", {})
            parts["Problem"] = problems.Problem.model_json_schema()
            _forget_framework_errors(schema)
        return self.openapi_schema or {}


def _forget_framework_errors(schema: dict[str, Any]) -> None:
    """The framework documents its own 422 for whatever takes a parameter; none is ever sent."""
    for name in ("HTTPValidationError", "ValidationError"):
        schema["components"]["schemas"].pop(name, None)
    for operations in schema["paths"].values():
        for operation in operations.values():
            if "HTTPValidationError" in str(operation["responses"].get("422")):
                del operation["responses"]["422"]
