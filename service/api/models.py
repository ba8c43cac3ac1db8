"""What serves here: the service, its models, and what is known about each."""

from __future__ import annotations

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from service import __version__
from service.api import problems
from service.api.accept import require_json
from service.api.readiness import Look, require_models, require_ready
from service.classifier.contract import INPUT_NAME, PROBABILITY_NAME, Metric, OperatingPoint
from service.engine import Readiness, Rule, ServedEnsemble, ServedModel
from service.errors import NotAcceptable, NotFound, NotReady, Unauthorized
from service.session import OPENVINO


class ModelOut(BaseModel):
    """One network."""

    name: str
    version: str
    default: bool = Field(description="Whether it scores where a request names no model")
    architecture: str
    sha256: str = Field(description="Of the ONNX file")
    weights_sha256: str
    provider: str = Field(
        description="What runs it: an ONNX Runtime execution provider or `OpenVINO CPU`"
    )
    fallback: bool = Field(description="Whether the CPU stands in for a GPU that was asked for")
    precision: str = Field(description="How weights are stored and sums are done")
    clip_length: int = Field(description="Consecutive frames in a clip")
    input_height: int
    input_width: int
    crop_margin: float
    alignment: str
    trained_on: str
    strategy: str
    operating_point: OperatingPoint
    metrics: tuple[Metric, ...]
    licence: str
    notice: str

    @classmethod
    def of(cls, served: ServedModel, default: str | None) -> ModelOut:
        """What a served model says about itself."""
        contract = served.contract
        known = contract.model_dump(include=set(cls.model_fields))
        return cls(
            **known,
            default=contract.name == default,
            sha256=served.sha256,
            provider=served.provider,
            fallback=served.fallback,
        )


class EnsembleOut(BaseModel):
    """Several networks under one name."""

    name: str
    default: bool
    rule: Rule = Field(description="How the members' P(fake) are combined")
    members: tuple[str, ...]

    @classmethod
    def of(cls, served: ServedEnsemble, default: str | None) -> EnsembleOut:
        """The ensemble as shown."""
        return cls(
            name=served.name,
            default=served.name == default,
            rule=served.rule,
            members=served.members,
        )


class Models(BaseModel):
    """Everything that a request may name as ``model``."""

    default: str | None
    models: tuple[ModelOut, ...]
    ensembles: tuple[EnsembleOut, ...]


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


class Metadata(BaseModel):
    """One model or ensemble in the words of the Open Inference Protocol."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[Tensor]
    outputs: list[Tensor]


class ModelReady(BaseModel):
    """This model can score now."""

    name: str
    ready: bool = True


def router(look: Look) -> APIRouter:
    """The routes that tell of models."""
    routes = APIRouter(tags=["models"])
    by_name = problems.responses(Unauthorized, NotFound, NotReady)

    @routes.get(
        "/v1/models",
        summary="Served models and ensembles",
        dependencies=[Depends(require_json)],
        responses=problems.responses(Unauthorized, NotAcceptable, NotReady),
    )
    async def models() -> Models:
        state = require_models(look())
        return Models(
            default=state.default,
            models=tuple(ModelOut.of(model, state.default) for model in state.models),
            ensembles=tuple(EnsembleOut.of(each, state.default) for each in state.ensembles),
        )

    @routes.get(
        "/v2", summary="Name and version of the service", responses=problems.responses(Unauthorized)
    )
    async def server() -> Server:
        return Server(name="deepfake-service", version=__version__, extensions=[])

    @routes.get("/v2/models/{name}", summary="Inputs and outputs of a model", responses=by_name)
    async def model(name: str) -> Metadata:
        return _metadata(require_models(look()), name)

    @routes.get("/v2/models/{name}/ready", summary="Can this model score", responses=by_name)
    async def model_ready(name: str) -> ModelReady:
        _metadata(require_models(look()), name)
        require_ready(look())
        return ModelReady(name=name)

    return routes


def _metadata(state: Readiness, name: str) -> Metadata:
    """Raises ``NotFound`` for a name that is neither a model nor an ensemble."""
    served = {model.contract.name: model.contract for model in state.models}
    runtimes = {model.contract.name: _platform(model.provider) for model in state.models}
    ensembles = {ensemble.name: ensemble for ensemble in state.ensembles}
    if name in served:
        members, platform = [served[name]], runtimes[name]
    elif name in ensembles:
        members = [served[member] for member in ensembles[name].members]
        platform = "ensemble"
    else:
        raise NotFound("No model of this name is served.")
    shapes = [(each.clip_length, each.input_height, each.input_width) for each in members]
    same = [sizes[0] if len(set(sizes)) == 1 else -1 for sizes in zip(*shapes, strict=True)]
    return Metadata(
        name=name,
        versions=[members[0].version] if len(members) == 1 else ["1"],
        platform=platform,
        inputs=[Tensor(name=INPUT_NAME, datatype="UINT8", shape=[-1, *same, 3])],
        outputs=[Tensor(name=PROBABILITY_NAME, datatype="FP32", shape=[-1])],
    )


def _platform(provider: str) -> str:
    return "openvino_onnx" if provider == OPENVINO else "onnxruntime_onnx"
