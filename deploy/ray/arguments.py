"""What the builder of the application takes: ``serve run deploy.ray.app:build model=... ...``."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from service.registry import GPU_BATCH
from service.settings import FaceSettings, Limits, ModelSettings, SamplingSettings, Settings

_GROUPS = ("model", "sampling", "limits", "faces")


class Arguments(BaseModel):
    """How many replicas there are and what each has, and settings of the service that are not its
    defaults.

    All other settings, secrets among them, are read by every replica from its own environment
    (``DEEPFAKE_...``): arguments travel and are kept by Ray. A group may be given as JSON text,
    ``model`` also as a path.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    decoders: int = Field(1, ge=1, description="Replicas that take requests and read videos")
    most_decoders: int = Field(
        0, ge=0, description="Replicas when there is much to do; 0: always as many"
    )
    decoder_cpus: float = Field(2.0, ge=0, description="Processors of each, for Ray's bookkeeping")
    classifiers: int = Field(1, ge=1, description="Replicas that run the networks")
    classifier_cpus: float = Field(1.0, ge=0, description="Processors of each")
    gpus: float = Field(0.0, ge=0, description="GPUs of each; 0: the networks run on processors")
    wait_seconds: float = Field(
        0.005, ge=0, le=1, description="How long a batch that is not full waits for more clips"
    )
    model: ModelSettings = ModelSettings()
    sampling: SamplingSettings = SamplingSettings()
    limits: Limits = Limits()
    faces: FaceSettings = FaceSettings()

    @field_validator(*_GROUPS, mode="before")
    @classmethod
    def _from_text(cls, value: Any, info: Any) -> Any:
        if not isinstance(value, str):
            return value
        if info.field_name == "model" and not value.lstrip().startswith("{"):
            return {"path": value}
        return json.loads(value)

    @model_validator(mode="after")
    def _consistent(self) -> Arguments:
        if self.most_decoders and self.most_decoders < self.decoders:
            raise ValueError("most_decoders is less than decoders")
        if self.gpus and self.model.device == "cpu":
            raise ValueError("gpus are asked for, and the model is to run on the processor")
        return self

    @property
    def batch(self) -> int:
        """Clips in one batch, at most."""
        return self.model.batch or GPU_BATCH

    def settings(self, replica: str = "") -> Settings:
        """Those of this process: of its environment, and of the arguments where they say something;
        ``replica`` names its jobs. Raises ``ValueError`` for what no cluster may have."""
        given = self.model_dump(include=set(_GROUPS), exclude_unset=True)
        if self.gpus:
            # No processor stands in for a GPU that is not there, unless that is allowed.
            given.setdefault("model", {}).setdefault("device", "cuda")
        settings = Settings(**given)
        if settings.fetch.loopback:
            raise ValueError("DEEPFAKE_FETCH__LOOPBACK is for tests, and not on a cluster")
        jobs = settings.jobs.model_copy(update={"replica": replica})
        # Of several replicas a scraper would get any one's: Ray collects them.
        return settings.model_copy(update={"jobs": jobs, "metrics": False})
