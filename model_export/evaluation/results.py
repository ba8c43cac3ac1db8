"""What one trained model did on one method, and what it cost: the rows all tables are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from model_export.errors import EvaluationError
from model_export.files import replace_bytes
from service.measures.metrics import Measures


@dataclass(frozen=True, slots=True)
class Result:
    """``strategy`` is ``single``, ``merge``, ``transfer`` or ``grid`` (the best of the restricted
    grid search, whatever it was trained on). ``trained_on`` are the methods it was trained on from
    scratch, for a transfer those of its source; ``transferred_to`` the targets."""

    architecture: str
    strategy: str
    trained_on: tuple[str, ...]
    transferred_to: tuple[str, ...]
    method_tested: str
    seed: int
    measures: Measures


@dataclass(frozen=True, slots=True)
class Cost:
    """What one stage of a training took; ``stage`` is empty where there is only one."""

    architecture: str
    strategy: str
    trained_on: tuple[str, ...]
    transferred_to: tuple[str, ...]
    seed: int
    samples_per_epoch: int
    seconds_per_epoch: float
    epochs: int
    stage: str = ""

    @property
    def minutes(self) -> float:
        """Of all epochs."""
        return self.seconds_per_epoch * self.epochs / 60


_RESULTS = TypeAdapter(list[Result])


def save_results(results: Sequence[Result], path: Path) -> None:
    """Write results as JSON, whole or not at all."""
    try:
        replace_bytes(path, _RESULTS.dump_json(list(results), indent=1))
    except OSError as error:
        raise EvaluationError(f"{path} cannot be written: {error.strerror}") from error


def load_results(path: Path) -> list[Result]:
    """What ``save_results`` wrote. Raises ``EvaluationError`` naming the file."""
    try:
        return _RESULTS.validate_json(path.read_bytes())
    except OSError as error:
        raise EvaluationError(f"{path} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        raise EvaluationError(f"{path} holds no results: {error.errors()[0]['msg']}") from error
