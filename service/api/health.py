"""Health and model metadata under the paths of the Open Inference Protocol."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel

from service import __version__
from service.api import problems
from service.classifier.contract import INPUT_NAME, PROBABILITY_NAME, ModelContract
from service.engine import Engine, Readiness
from service.errors import NotFound, NotReady


class Live(BaseModel):
    """The process answers."""

    live: Literal[True] = True


class Ready(BaseModel):
    """Videos can be scored now."""

    ready: Literal[True] = True
    provider: str | None = None
    """The ONNX Runtime execution provider in use."""
    running: int
    waiting: int


class Server(BaseModel):
    """What serves here."""

    name: str
    version: str
    extensions: list[str]


class Tensor(BaseModel):
    """One input or output of a model; -1 is any size."""

    name: str
    datatype: str
    shape: list[int]


class Model(BaseModel):
    """One model."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[Tensor]
    outputs: list[Tensor]


class ModelReady(BaseModel):
    """This model can score now."""

    name: str
    ready: Literal[True] = True


def require_ready(engine: Engine) -> Readiness:
    """The engine's state; ``NotReady`` naming what is missing where it cannot score."""
    state = engine.readiness()
    if not state.ready:
        missing = "; ".join(state.missing) or "starting or stopping"
        raise NotReady(missing)
    return state


def router(engine: Engine) -> APIRouter:
    """The health routes."""
    routes = APIRouter(tags=["health"])
    not_ready = problems.responses(NotReady)
    no_model: dict[int | str, dict[str, Any]] = problems.responses(NotFound, NotReady) | {
        "default": {"description": "A problem document"}
    }

    @routes.get("/v2/health/live", summary="Is the process alive")
    async def live() -> Live:
        return Live()

    @routes.get("/v2/health/ready", summary="Can videos be scored", responses=not_ready)
    @routes.get("/health", summary="Same as /v2/health/ready", responses=not_ready)
    async def ready() -> Ready:
        state = require_ready(engine)
        return Ready(
            provider=state.provider,
            running=state.running,
            waiting=state.waiting,
        )

    @routes.get("/v2", summary="Name and version of the service")
    async def server() -> Server:
        return Server(name="deepfake-service", version=__version__, extensions=[])

    def named(name: str) -> ModelContract:
        state = engine.readiness()
        # Without a loaded model nobody can say which names exist.
        model = state.model or require_ready(engine).model
        if model is None or model.name != name:
            raise NotFound("No model of this name is loaded.")
        return model

    @routes.get("/v2/models/{name}", summary="Inputs and outputs of a model", responses=no_model)
    async def model(name: str) -> Model:
        known = named(name)
        shape = [-1, known.clip_length, known.input_height, known.input_width, 3]
        return Model(
            name=known.name,
            versions=[known.version],
            platform="onnxruntime_onnx",
            inputs=[Tensor(name=INPUT_NAME, datatype="UINT8", shape=shape)],
            outputs=[Tensor(name=PROBABILITY_NAME, datatype="FP32", shape=[-1])],
        )

    @routes.get("/v2/models/{name}/ready", summary="Can this model score", responses=no_model)
    async def model_ready(name: str) -> ModelReady:
        known = named(name)
        require_ready(engine)
        return ModelReady(name=known.name)

    return routes
