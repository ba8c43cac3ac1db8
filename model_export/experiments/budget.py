"""What an experiment may cost: the networks' widths, their input, and how long each is trained.

A budget is a TOML file. The ones that come with the package are named, ``small`` first of all.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path

from pydantic import Field, ValidationError, model_validator

from model_export import networks
from model_export.errors import TrainingError
from model_export.training.augmentation import AugmentationConfig
from model_export.training.config import (
    DataConfig,
    InitConfig,
    ModelConfig,
    OptimiserConfig,
    RunConfig,
    ScalingName,
    ScheduleConfig,
    Section,
)

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
    length: int = Field(5, ge=1)
    """Frames of a clip. Networks of fewer are measured on the middle ones."""
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

    def config(
        self,
        architecture: str,
        stage: Stage,
        *,
        name: str,
        seed: int,
        folder: Path,
        videos: Mapping[str, int | None],
        weights: Path | None,
    ) -> RunConfig:
        """The run of one stage, on ``videos`` of the dataset in ``folder``, from ``weights`` on.
        Raises ``TrainingError`` as ``model`` does, ``ValidationError`` for a stage that is no run.
        """
        model = self.model(architecture)
        return RunConfig(
            name=name,
            seed=seed,
            model=ModelConfig(
                architecture=architecture,
                options=model.options,
                size=self.size,
                length=stage.length,
                scaling=model.scaling,
            ),
            data=DataConfig(
                folder=folder,
                videos=dict(videos),
                twins=stage.twins,
                clips_per_video=stage.clips_per_video,
            ),
            init=InitConfig(weights=weights, inflate=stage.inflate),
            freeze=stage.freeze,
            augmentation=stage.augmentation,
            optimiser=stage.optimiser,
            schedule=stage.schedule,
            mask_weight=stage.mask_weight,
            average=stage.average,
        )

    def check(self, architecture: str) -> None:
        """See that every stage of a network is a run that can be trained, before hours are spent on
        others. Raises ``TrainingError`` naming the stage and the key."""
        model = self.model(architecture)
        for stages, weights in ((model.stages, None), (model.transfer, Path("the source"))):
            for stage in stages:
                try:
                    run = self.config(
                        *(architecture, stage),
                        name=stage.name,
                        seed=0,
                        folder=Path(),
                        videos={"DF": None},
                        weights=weights,
                    ).model
                    networks.check(architecture, (run.size, run.size), run.options, run.length)
                except (ValidationError, TrainingError) as error:
                    raise TrainingError(
                        f"the budget '{self.name}', {architecture}, stage {stage.name}: "
                        f"{_said(error)}"
                    ) from error
                weights = Path(stage.name)


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
        raise TrainingError(f"{path}: {_said(error)}") from error
    except ValueError as error:
        raise TrainingError(f"{path} is not TOML: {error}") from error


def _said(error: ValidationError | TrainingError) -> str:
    if isinstance(error, TrainingError):
        return str(error)
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"]) or "the budget"
    return f"{key}: {first['msg']}"
