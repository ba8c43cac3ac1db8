"""Health under the paths of the Open Inference Protocol."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field

from service import __version__
from service.api import problems
from service.api.readiness import require_ready
from service.engine import Engine
from service.errors import NotReady


class Live(BaseModel):
    """The process answers."""

    live: Literal[True] = True


class Ready(BaseModel):
    """Videos can be scored now."""

    ready: Literal[True] = True
    provider: str | None = None
    """The ONNX Runtime execution provider of the first model."""
    fallback: bool = Field(
        False, description="Whether the CPU stands in, for any model, for a GPU that was asked for"
    )
    draining: Literal[False] = Field(False, description="A service that drains answers 503")
    running: int
    waiting: int


class Server(BaseModel):
    """What serves here."""

    name: str
    version: str
    extensions: list[str]


def router(engine: Engine) -> APIRouter:
    """The probes, open to everybody, and the name of the service."""
    routes = APIRouter(tags=["health"])
    not_ready = problems.responses(NotReady)

    @routes.get("/v2/health/live", summary="Is the process alive")
    async def live() -> Live:
        return Live()

    @routes.get("/v2/health/ready", summary="Can videos be scored", responses=not_ready)
    @routes.get("/health", summary="Same as /v2/health/ready", responses=not_ready)
    async def ready() -> Ready:
        state = require_ready(engine)
        return Ready(
            provider=state.provider,
            fallback=any(model.fallback for model in state.models),
            running=state.running,
            waiting=state.waiting,
        )

    @routes.get("/v2", summary="Name and version of the service")
    async def server() -> Server:
        return Server(name="deepfake-service", version=__version__, extensions=[])

    return routes
