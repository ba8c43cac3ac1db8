"""What an experiment may cost: the networks' widths, their input, and how long each is trained.

A budget is a TOML file. The ones that come with the package are named, ``small`` first of all.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

from pydantic import Field, ValidationError, model_validator

from model_export.errors import TrainingError
from model_export.training.augmentation import AugmentationConfig
from model_export.training.config import OptimiserConfig, ScalingName, ScheduleConfig, Section

BUDGETS = Path(__file__).parent / "budgets"


class Stage(Section):
    """One training after another of the same network; fields as in ``RunConfig``.

    ``length`` None is the architecture's own number of frames.
    """

    name: str
    length: int | None = None
    inflate: bool = False
    freeze: str = "none"
    twins: bool = False
    clips_per_video: int | None = None
    mask_weight: float = 0.0
    average: float | None = None
    augmentation: AugmentationConfig = AugmentationConfig()
    optimiser: OptimiserConfig = OptimiserConfig()
    schedule: ScheduleConfig


class ModelBudget(Section):
    """A network, the stages that train it from random weights, and those of a transfer."""

    options: dict[str, bool | int | float | str | list[int]] = Field(default_factory=dict)
    scaling: ScalingName = "unit"
    stages: tuple[Stage, ...] = Field(min_length=1)
    transfer: tuple[Stage, ...] = Field(min_length=1)


class BenchmarkBudget(Section):
    """How the synthetic benchmark is made: see ``model_export.synthetic.benchmark.Options``."""

    frames: int = Field(40, ge=5)
    segments: int = Field(3, ge=1)
    strength: float = Field(1.0, gt=0, le=1.5)
    seed: int = 0
    ratios: tuple[float, float, float] = (0.6, 0.2, 0.2)


class Budget(Section):
    """``size`` of the frames in pixels; ``few_shot`` videos of each method in a transfer, source
    and target alike (the papers: 10 forged and 10 real); ``models`` by architecture."""

    name: str
    benchmark: BenchmarkBudget = BenchmarkBudget()
    size: int = Field(ge=16)
    few_shot: int = Field(10, ge=1)
    models: dict[str, ModelBudget] = Field(min_length=1)

    @model_validator(mode="after")
    def _stages_have_names_of_their_own(self) -> Budget:
        for architecture, model in self.models.items():
            for stages in (model.stages, model.transfer):
                names = [stage.name for stage in stages]
                if len(set(names)) != len(names):
                    raise ValueError(f"{architecture}: two stages of one name")
        return self

    def model(self, architecture: str) -> ModelBudget:
        """The budget of a network. Raises ``TrainingError`` naming those that have one."""
        try:
            return self.models[architecture]
        except KeyError:
            known = ", ".join(sorted(self.models))
            raise TrainingError(
                f"the budget '{self.name}' says nothing of {architecture}, only of {known}"
            ) from None


def load_budget(name_or_path: str) -> Budget:
    """A budget by its name or from a TOML file. Raises ``TrainingError`` naming what is wrong."""
    built_in = BUDGETS / f"{name_or_path}.toml"
    path = built_in if built_in.exists() else Path(name_or_path)
    try:
        return Budget.model_validate(tomllib.loads(path.read_text()))
    except OSError:
        known = ", ".join(sorted(each.stem for each in BUDGETS.glob("*.toml")))
        raise TrainingError(
            f"'{name_or_path}' is neither a budget ({known}) nor a readable file"
        ) from None
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "the budget"
        raise TrainingError(f"{path}: {key}: {first['msg']}") from error
    except ValueError as error:
        raise TrainingError(f"{path} is not TOML: {error}") from error
