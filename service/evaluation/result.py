"""What an evaluation found: figures by dataset and over all, at every level, and what they leave
out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from service.classifier.contract import UNCALIBRATED
from service.evaluation.tally import Coverage, Tally
from service.measures.levels import LEVELS
from service.measures.metrics import Measures, measure_rows

NETWORK_THRESHOLD = 0.5
"""Of clips, which are measured as the network scores them: calibration is of faces."""

SEVERAL_MODELS = (
    "The model changed on the way: the figures mix the scores of several, and the lowest threshold "
    "is everybody's."
)
UNDECIDED = (
    "Videos without a decision, within the model's uncertain band: {}. The figures go by the "
    "threshold inside it, not by verdicts."
)
ABSTAINS = "This model never decides: {} The figures say what its threshold would do."
NOT_CALIBRATED = "The threshold is a convention: this model is not calibrated."


class Group(BaseModel):
    """The figures of one dataset; ``dataset`` is null for all of them together."""

    model_config = ConfigDict(frozen=True)

    dataset: str | None
    coverage: Coverage
    measures: tuple[Measures, ...] = Field(description="At clip, face and video level")


class Result(BaseModel):
    """All figures. They are of the videos that have a score; ``coverage`` says how many those
    are."""

    model_config = ConfigDict(frozen=True)

    event: Literal["result"] = "result"
    models: tuple[str, ...] = Field(description="Name and version of what scored")
    strategies: tuple[str, ...] = Field(description="How that was trained")
    groups: tuple[Group, ...] = Field(description="All together first, where there are several")
    notes: tuple[str, ...] = ()


def result_of(tally: Tally, draws: int = 1000, seed: int = 0) -> Result:
    """Measure what was collected. Intervals are of ``draws`` draws with replacement of groups,
    where the list names them, else of videos."""
    tables = {level: tally.table(level) for level in LEVELS}
    thresholds = [row.threshold for row in tally.rows if row.threshold is not None]
    threshold = min(thresholds, default=NETWORK_THRESHOLD)

    def group(dataset: str | None) -> Group:
        return Group(
            dataset=dataset,
            coverage=tally.coverage(dataset),
            measures=tuple(
                measure_rows(
                    table.select(part=dataset),
                    level,
                    NETWORK_THRESHOLD if level == "clip" else threshold,
                    draws,
                    seed,
                )
                for level, table in tables.items()
            ),
        )

    datasets = tally.datasets()
    several = len(datasets) > 1
    names = [None, *datasets] if several else [datasets[0] or None if datasets else None]
    return Result(
        models=_distinct(row.model for row in tally.rows),
        strategies=_distinct(row.strategy for row in tally.rows),
        groups=tuple(map(group, names)),
        notes=tuple(_notes(tally)),
    )


def _notes(tally: Tally) -> Iterator[str]:
    if len(_distinct(row.sha256 for row in tally.rows)) > 1:
        yield SEVERAL_MODELS
    for reason in _distinct(row.abstain for row in tally.rows):
        yield ABSTAINS.format(reason)
    for found in _distinct(row.calibration for row in tally.rows):
        yield NOT_CALIBRATED if found == UNCALIBRATED else f"Calibration: {found}."
    undecided = tally.coverage().uncertain
    if undecided:
        yield UNDECIDED.format(undecided)
    if not tally.complete:
        yield f"The figures of clips are of the first {tally.most} clips alone."


def _distinct(values: Iterable[str | None]) -> tuple[str, ...]:
    return tuple(sorted({value for value in values if value}))
