"""A run's folder: what was asked for, what came of it, and whether it is still the same run.

``run.json`` and ``result.json``; the weights are :mod:`model_export.training.checkpoint`'s.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from model_export.data.prepared import Preparation
from model_export.errors import TrainingError
from model_export.files import replace_text
from model_export.training.config import RunConfig
from model_export.training.logs import Row

Stopped = Literal["epochs", "patience"]

RUN = "run.json"
RESULT = "result.json"


class RunRecord(BaseModel):
    """``run.json``. ``videos`` counts the training videos of each method, ``real`` among them;
    ``clips`` those of an epoch; ``data_sha256`` is of the clips that are read and how they were
    cut, ``init_sha256`` of the weights that the run began with; ``devices`` share each step."""

    model_config = ConfigDict(frozen=True)

    config: RunConfig
    preparation: Preparation
    videos: dict[str, int]
    clips: int
    data_sha256: str
    init_sha256: str | None = None
    devices: int = 1


class RunResult(BaseModel):
    """``result.json``: a finished run. ``best_epoch`` (from 1) has the lowest validation loss, and
    its weights are kept; ``samples`` are the clips seen; ``seconds_per_epoch`` of training alone,
    of which ``loader_share`` the model waited for clips; ``stopped`` by all epochs being done or by
    the patience being at its end."""

    model_config = ConfigDict(frozen=True)

    folder: Path
    best_epoch: int
    best_loss: float
    validation_accuracy: float
    validation_auc: float
    epochs: int
    samples: int
    steps: int
    seconds_per_epoch: float
    loader_share: float
    stopped: Stopped

    def __str__(self) -> str:
        return (
            f"{self.folder}: best of {self.epochs} epochs is {self.best_epoch}, validation loss "
            f"{self.best_loss:.4f}, accuracy {self.validation_accuracy:.3f}, AUC "
            f"{self.validation_auc:.3f}; {self.seconds_per_epoch:.1f} s an epoch; the model waited "
            f"{self.loader_share:.1%} of the time for clips"
        )


def open_folder(folder: Path, record: RunRecord) -> None:
    """Make the folder of a run, or see that it is this run's. Raises ``TrainingError``."""
    if not (folder / RUN).exists():
        folder.mkdir(parents=True, exist_ok=True)
        replace_text(folder / RUN, record.model_dump_json(indent=2) + "\n")
        return
    there = read_record(folder)
    for key, ours, theirs in _differences(_decisive(record), _decisive(there)):
        raise TrainingError(
            f"{folder} holds another run: {key} is {theirs} there and {ours} here; choose another "
            "folder or remove that one"
        )


def read_record(folder: Path) -> RunRecord:
    """``run.json`` of a run's folder. Raises ``TrainingError``."""
    path = folder / RUN
    try:
        return RunRecord.model_validate_json(path.read_text())
    except OSError as error:
        raise TrainingError(f"{folder} is not the folder of a run: no {RUN} there") from error
    except ValidationError as error:
        raise TrainingError(f"{path} does not describe a run of this version") from error


def read_result(folder: Path) -> RunResult | None:
    """What came of a run; None while it is unfinished. Raises ``TrainingError``."""
    path = folder / RESULT
    if not path.exists():
        return None
    try:
        result = RunResult.model_validate_json(path.read_text())
    except ValidationError as error:
        raise TrainingError(f"{path} is not a run's result of this version") from error
    return result.model_copy(update={"folder": folder})  # It may have been moved.


def summarise(folder: Path, rows: Sequence[Row], best: int, stopped: Stopped) -> RunResult:
    """The result of a run with ``rows``, one an epoch from 1 on."""
    row, last, seconds = rows[best - 1], rows[-1], sum(each.seconds for each in rows)
    return RunResult(
        folder=folder,
        best_epoch=best,
        best_loss=row.validation_loss,
        validation_accuracy=row.validation_accuracy,
        validation_auc=row.validation_auc,
        epochs=len(rows),
        samples=last.samples,
        steps=last.step,
        seconds_per_epoch=seconds / len(rows),
        loader_share=sum(each.loader_share * each.seconds for each in rows) / seconds,
        stopped=stopped,
    )


def write_result(result: RunResult) -> None:
    """Write ``result.json``, with which a run is finished."""
    replace_text(result.folder / RESULT, result.model_dump_json(indent=2) + "\n")


def _decisive(record: RunRecord) -> dict[str, Any]:
    """What makes it another run. How many processes read the clips does not, nor where the weights
    lie that it began with, or the clips."""
    values = record.model_dump(mode="json")
    del values["config"]["workers"], values["config"]["init"]["weights"]
    del values["config"]["data"]["folder"]
    return {
        **values["config"],
        "init.weights' hash": values["init_sha256"],
        "the dataset's hash": values["data_sha256"],
        "the number of devices": values["devices"],
    }


def _differences(ours: Any, theirs: Any, key: str = "") -> Iterator[tuple[str, Any, Any]]:
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for name in {**ours, **theirs}:
            inner = f"{key}.{name}" if key else name
            yield from _differences(ours.get(name), theirs.get(name), inner)
    elif ours != theirs:
        yield key, ours, theirs
