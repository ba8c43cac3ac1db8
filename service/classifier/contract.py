"""What an ONNX model says about itself, and what is refused.

A model's input is ``clips`` uint8 ``(N, T, H, W, 3)`` RGB with a dynamic batch axis. Its outputs
are ``fake_probability`` float32 ``(N,)``, always P(fake), and, where the architecture has one,
``cam`` float32 ``(N, T, h, w)``: final features times the fake class's weights, not normalised.
Everything else stands in ``metadata_props`` under the names of ``ModelContract``'s fields.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from service.errors import ModelError

UNKNOWN = "unknown"
UNCALIBRATED = "uncalibrated"

INPUT_NAME = "clips"
PROBABILITY_NAME = "fake_probability"
CAM_NAME = "cam"

Alignment = Literal["per_frame", "clip"]


class OperatingPoint(BaseModel):
    """Where a score becomes a verdict.

    Scores below ``uncertain_low`` read real, from ``uncertain_high`` on fake, between them
    uncertain; ``threshold`` lies between the two. ``scale`` and ``offset`` calibrate:
    score = sigmoid(scale * logit(raw) + offset), Platt (1999).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    threshold: float = Field(0.5, ge=0, le=1)
    uncertain_low: float = Field(0.5, ge=0, le=1)
    uncertain_high: float = Field(0.5, ge=0, le=1)
    scale: float = Field(1.0, gt=0)
    offset: float = 0.0
    calibration: str = UNCALIBRATED
    """How the point was found, in words, or ``uncalibrated``."""
    abstain: str | None = None
    """Why every verdict of this model is ``uncertain``, where it is."""

    @model_validator(mode="after")
    def _ordered(self) -> OperatingPoint:
        if not self.uncertain_low <= self.threshold <= self.uncertain_high:
            raise ValueError("uncertain_low <= threshold <= uncertain_high must hold")
        return self


class Metric(BaseModel):
    """One measured figure and the data it was measured on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    value: float
    data: str
    low: float | None = None
    """Lower end of the 95 % confidence interval."""
    high: float | None = None


def _from_json(value: object) -> object:
    return json.loads(value) if isinstance(value, str) else value


def _operating_point(value: object) -> object:
    return OperatingPoint() if value == UNCALIBRATED else _from_json(value)


def _metrics(value: object) -> object:
    return () if value == UNKNOWN else _from_json(value)


class ModelContract(BaseModel):
    """The metadata of a model; every key must be present in the file."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str
    version: str
    architecture: str
    clip_length: int = Field(ge=1, le=64)
    """T: consecutive frames in a clip."""
    input_height: int = Field(ge=16, le=1024)
    input_width: int = Field(ge=16, le=1024)
    class_order: str
    """Class order of the source the weights came from, e.g. ``fake,real``."""
    crop_margin: float = Field(ge=1.0, le=3.0)
    """Side of the square crop over the longer side of the face box."""
    alignment: Alignment
    precision: str
    """How weights are stored and sums are done, e.g. ``float32``."""
    trained_on: str
    strategy: str
    operating_point: Annotated[OperatingPoint, BeforeValidator(_operating_point)]
    metrics: Annotated[tuple[Metric, ...], BeforeValidator(_metrics)]
    """Empty where the file says ``unknown``."""
    weights_sha256: str
    licence: str
    notice: str
    """What a reader of a report must be told about this model; ``unknown`` where nothing."""

    @classmethod
    def parse(cls, metadata: Mapping[str, str]) -> ModelContract:
        """Read ``metadata_props``. Raises ``ModelError`` naming the first missing or bad key."""
        for key in cls.model_fields:
            if key not in metadata:
                raise ModelError(f"the model's metadata lacks the key '{key}'")
        try:
            return cls.model_validate(dict(metadata))
        except (ValidationError, json.JSONDecodeError) as error:
            if isinstance(error, ValidationError):
                first = error.errors()[0]
                where = ".".join(str(part) for part in first["loc"])
                raise ModelError(f"the model's metadata key '{where}': {first['msg']}") from error
            raise ModelError(f"the model's metadata holds broken JSON: {error}") from error

    def dump(self) -> dict[str, str]:
        """The ``metadata_props`` that ``parse`` reads back to an equal contract."""
        point, metrics = self.operating_point, self.metrics
        texts = {key: str(getattr(self, key)) for key in type(self).model_fields}
        texts["operating_point"] = (
            UNCALIBRATED if point == OperatingPoint() else point.model_dump_json()
        )
        texts["metrics"] = (
            json.dumps([metric.model_dump() for metric in metrics]) if metrics else UNKNOWN
        )
        return texts
