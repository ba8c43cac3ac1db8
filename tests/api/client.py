"""A client of an app in this process, and a check of problem documents."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from service.app import create_app
from service.engine import Engine
from service.settings import Limits, Settings

OCTETS = {"Content-Type": "application/octet-stream"}


def settings(**limits: float) -> Settings:
    """The defaults with some limits changed."""
    return Settings(limits=Limits.model_validate(limits))


@asynccontextmanager
async def client(
    engine: Engine, chosen: Settings | None = None
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an app on this engine, its lifespan running."""
    app = create_app(chosen or settings(), engine)
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://service") as session,
    ):
        await app.state.lifecycle.started()
        yield session


def problem(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """Assert that a response is this problem, whole and consistent; give its document."""
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert (response.status_code, body["code"]) == (status, code)
    assert set(body) == {"type", "title", "status", "code", "detail", "request_id"}
    assert body["status"] == status
    assert body["type"] == f"/problems/{code}"
    assert body["title"]
    assert body["detail"]
    assert body["request_id"] == response.headers["x-request-id"]
    return body
