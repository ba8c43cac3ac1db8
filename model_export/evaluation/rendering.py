"""Tables as files, with a mark where their figures are of synthetic data."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from model_export.errors import EvaluationError
from model_export.evaluation.origin import titled
from service.measures.rendering import FORMATS, Table


def marked(table: Table, origin: str) -> Table:
    """The table of figures on data of ``origin``, which its title says where they are synthetic."""
    return replace(table, title=titled(table.title, origin))


def write_table(
    table: Table, folder: Path, stem: str, suffixes: Iterable[str] = FORMATS
) -> list[Path]:
    """Write ``<stem>.md``, ``.csv`` and ``.tex``. Raises ``EvaluationError`` naming the file."""
    paths = []
    for suffix in suffixes:
        path = folder / f"{stem}.{suffix}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            path.write_text(FORMATS[suffix](table))
        except OSError as error:
            raise EvaluationError(f"{path} cannot be written: {error.strerror}") from error
        paths.append(path)
    return paths
