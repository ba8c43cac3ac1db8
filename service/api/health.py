"""Health under the paths of the Open Inference Protocol."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field

from service.api import problems
from service.api.readiness import Look, require_ready
from service.errors import NotReady


class Live(BaseModel):
    """The process answers."""

    live: Literal[True] = True


class Ready(BaseModel):
    """Videos can be scored now."""

    ready: Literal[True] = True
    provider: str | None = None
    """What runs the first model: an ONNX Runtime execution provider or ``OpenVINO CPU``."""
    precision: str | None = None
    """What the first model computes in."""
    fallback: bool = Field(
        False, description="Whether the CPU stands in, for any model, for a GPU that was asked for"
    )
    draining: Literal[False] = Field(False, description="A service that drains answers 503")
    running: int
    waiting: int


def router(look: Look) -> APIRouter:
    """The probes, open to everybody."""
    routes = APIRouter(tags=["health"])
    not_ready = problems.responses(NotReady)

    @routes.get("/v2/health/live", summary="Is the process alive")
    async def live() -> Live:
        return Live()

    @routes.get("/v2/health/ready", summary="Can videos be scored", responses=not_ready)
    @routes.get("/health", summary="Same as /v2/health/ready", responses=not_ready)
    async def ready() -> Ready:
        state = require_ready(look())
        return Ready(
            provider=state.provider,
            precision=state.precision,
            fallback=any(model.fallback for model in state.models),
            running=state.running,
            waiting=state.waiting,
        )

    return routes
