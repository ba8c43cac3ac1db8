"""What an evaluation found: figures by dataset and over all, at every level, and what they leave
out."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from service.evaluation.tally import CLIPS, Coverage, Tally
from service.measures.levels import LEVELS
from service.measures.metrics import Measures, measure_rows

NETWORK_THRESHOLD = 0.5
"""Of clips, which are measured as the network scores them: calibration is of faces."""

SEVERAL_MODELS = "The model changed on the way: the figures mix the scores of {}."
NOT_ALL_CLIPS = f"The figures of clips are of the first {CLIPS} clips alone."


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
    groups: tuple[Group, ...] = Field(description="All together first")
    notes: tuple[str, ...] = ()


def result_of(tally: Tally, draws: int = 1000, seed: int = 0) -> Result:
    """Measure what was collected. Intervals are of ``draws`` draws with replacement of groups,
    where the list names them, else of videos."""
    datasets = tally.datasets()
    names = [None, *(datasets if len(datasets) > 1 else [])]
    hashes = {row.sha256 for row in tally.rows if row.sha256}
    models = tuple(sorted({row.model for row in tally.rows if row.model}))
    notes = []
    if len(hashes) > 1:
        notes.append(SEVERAL_MODELS.format(f"{len(hashes)} models"))
    if not tally.complete:
        notes.append(NOT_ALL_CLIPS)
    return Result(
        models=models,
        strategies=tuple(sorted({row.strategy for row in tally.rows if row.strategy})),
        groups=tuple(_group(tally, name, draws, seed) for name in names),
        notes=tuple(notes),
    )


def _group(tally: Tally, dataset: str | None, draws: int, seed: int) -> Group:
    thresholds = [row.threshold for row in tally.rows if row.threshold is not None]
    threshold = thresholds[0] if thresholds else NETWORK_THRESHOLD
    return Group(
        dataset=dataset,
        coverage=tally.coverage(dataset),
        measures=tuple(
            measure_rows(
                tally.table(level).select(part=dataset),
                level,
                NETWORK_THRESHOLD if level == "clip" else threshold,
                draws,
                seed,
            )
            for level in LEVELS
        ),
    )
