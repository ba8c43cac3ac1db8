"""Scores of clips as CSV."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from model_export.data.prepared import PreparedVideo
from model_export.errors import EvaluationError
from model_export.files import replacing
from service.measures.table import COLUMNS, NUMBERS, SEPARATOR, ScoreTable


def save_scores(table: ScoreTable, path: Path) -> None:
    """Write CSV, whole or not at all; numbers keep all their digits. Raises ``EvaluationError``."""
    columns = [getattr(table, name).tolist() for name in COLUMNS]
    try:
        with replacing(path) as part, part.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(COLUMNS)
            writer.writerows(zip(*columns, strict=True))
    except OSError as error:
        raise EvaluationError(f"{path} cannot be written: {error.strerror}") from error


def load_scores(path: Path) -> ScoreTable:
    """What ``save_scores`` wrote. Raises ``EvaluationError`` naming the file and line."""
    try:
        with path.open(newline="") as file:
            reader = csv.reader(file)
            if tuple(next(reader, ())) != COLUMNS:
                raise EvaluationError(f"{path} is no table of scores")
            return ScoreTable.of([_parse(row, path, line) for line, row in enumerate(reader, 2)])
    except OSError as error:
        raise EvaluationError(f"{path} cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise EvaluationError(f"{path} is no table of scores") from error


def describe(row: PreparedVideo) -> tuple[str, str, str, str, str]:
    """What a table's row says of its video: id, people, method, label, part."""
    video = row.video
    people = SEPARATOR.join(sorted(video.people))
    return video.id, people, video.method, video.label, video.part or ""


def _parse(row: Sequence[str], path: Path, line: int) -> list[str | float]:
    try:
        values = {
            name: NUMBERS[name](text) if name in NUMBERS else text
            for name, text in zip(COLUMNS, row, strict=True)
        }
        if values["label"] not in ("real", "fake") or not 0 <= float(values["score"]) <= 1:
            raise ValueError
    except ValueError:
        raise EvaluationError(f"{path}, line {line}: not a row of scores") from None
    return list(values.values())
