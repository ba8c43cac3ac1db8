"""A run as a file: everything that decides what is trained, and on what.

Written by people as TOML, kept in the run's folder as JSON with every default filled in.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from model_export.errors import TrainingError
from model_export.training.augmentation import AugmentationConfig

ScalingName = Literal["unit", "centred", "symmetric", "imagenet"]

ALL = "all"
"""How TOML, which has no null, says that every video of a method is taken."""

Videos = Annotated[
    Annotated[int, Field(ge=1)] | None,
    BeforeValidator(lambda value: None if value == ALL else value),
]


class Section(BaseModel):
    """A table of the run file. Unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ModelConfig(Section):
    """The network. ``options`` are its own (``networks.build``), ``size`` the frames' height and
    width in pixels, ``length`` the frames T in a clip (None: the architecture's own).

    ``scaling`` of the pixel values is a name of ``model_export.scaling.SCALINGS``: ``unit`` is
    [0, 1], as the published weights expect.
    """

    architecture: str
    options: dict[str, bool | int | float | str | list[int]] = {}
    size: int = Field(ge=16, le=1024)
    length: int | None = Field(None, ge=1, le=64)
    scaling: ScalingName = "unit"


class DataConfig(Section):
    """What is trained on. ``folder`` is a prepared dataset; ``videos`` how many forged training
    videos of each method (None, ``"all"`` in TOML, takes all); real ones are balanced to them.

    ``twins``: each forged clip brings the real clip it was made from, augmented alike, in place of
    drawn real ones. ``clips_per_video``: so many of a video's clips (None: all).
    """

    folder: Path
    videos: dict[str, Videos] = Field(min_length=1)
    twins: bool = False
    clips_per_video: int | None = Field(None, ge=1)


class InitConfig(Section):
    """Where the weights come from: a run's folder, a .safetensors or a Keras .h5 file; None draws
    them. ``inflate`` makes a CLRNet that was trained on single frames ready for clips."""

    weights: Path | None = None
    inflate: bool = False

    @model_validator(mode="after")
    def _something_to_inflate(self) -> InitConfig:
        if self.inflate and self.weights is None:
            raise ValueError("inflate needs weights that were trained on single frames")
        return self


class OptimiserConfig(Section):
    """``l2`` adds l2 * sum of squares of ``Detector.penalised()`` to the loss, as Keras does;
    ``clip_norm`` is the largest norm of all gradients together."""

    name: Literal["adam", "adamw"] = "adam"
    rate: float = Field(5e-5, gt=0)
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = Field(0.0, ge=0)
    l2: float = Field(1e-4, ge=0)
    clip_norm: float | None = Field(None, gt=0)


class ScheduleConfig(Section):
    """How long and how fast. A step of the optimiser sees ``batch`` clips ``accumulate`` times, on
    every device. ``samples_per_epoch``: None is every clip once. The rate rises over
    ``warmup_steps``, then stays or falls to nothing as half a cosine over the whole run.
    ``patience``: stop after so many epochs without a better validation loss.
    ``validation_clips``: so many are validated on (None: all)."""

    epochs: int = Field(ge=1)
    batch: int = Field(ge=2, multiple_of=2)
    accumulate: int = Field(1, ge=1)
    samples_per_epoch: int | None = Field(None, ge=1)
    warmup_steps: int = Field(0, ge=0)
    shape: Literal["constant", "cosine"] = "constant"
    patience: int | None = Field(None, ge=1)
    validation_clips: int | None = Field(None, ge=2)


class RunConfig(Section):
    """A run. Paths are as given, relative to the working directory.

    ``freeze`` (none, first_half, first:N, all_but_last:N) counts the layers of the Keras original.
    ``mask_weight``: weight of the loss of a head, in training only, that says where a frame was
    forged. ``average``: decay of the moving average of the weights that is validated and kept
    (None: the weights themselves). ``workers``: processes that read and augment clips.
    """

    name: str = Field(min_length=1)
    seed: int = Field(0, ge=0)
    model: ModelConfig
    data: DataConfig
    init: InitConfig = InitConfig()
    freeze: str = Field("none", pattern=r"^(none|first_half|(first|all_but_last):[1-9]\d*)$")
    augmentation: AugmentationConfig = AugmentationConfig()
    optimiser: OptimiserConfig = OptimiserConfig()
    schedule: ScheduleConfig
    mask_weight: float = Field(0.0, ge=0)
    average: float | None = Field(None, gt=0, lt=1)
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    workers: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _masks_come_from_twins(self) -> RunConfig:
        if self.mask_weight and not self.data.twins:
            raise ValueError("mask_weight needs data.twins: a mask is the difference from the twin")
        return self


def load_config(path: Path, overrides: Sequence[str] = ()) -> RunConfig:
    """The run in the TOML file ``path`` with ``overrides`` such as ``optimiser.rate=1e-3`` on top.

    Raises ``TrainingError`` naming the file and the key.
    """
    try:
        values = tomllib.loads(path.read_text())
    except OSError as error:
        raise TrainingError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise TrainingError(f"{path} is not TOML: {error}") from error
    for override in overrides:
        _set(values, override)
    return parse_config(values, str(path))


def parse_config(values: dict[str, Any], source: str) -> RunConfig:
    """The run in ``values``. Raises ``TrainingError`` naming ``source`` and the first bad key."""
    try:
        return RunConfig.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "the run"
        raise TrainingError(f"{source}: {key}: {first['msg']}") from error


def _set(values: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key.strip():
        raise TrainingError(f"'{override}' is not of the form KEY=VALUE")
    *tables, last = key.strip().split(".")
    for table in tables:
        values = values.setdefault(table, {})
        if not isinstance(values, dict):
            raise TrainingError(f"'{override}': {table} is a value, not a table")
    values[last] = _value(text.strip())


def _value(text: str) -> Any:
    """``text`` as TOML would read it; words need no quotes."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
