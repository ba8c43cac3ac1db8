"""What a run started from: the runs before it, as far as they can still be found."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from model_export.errors import TrainingError
from model_export.training.run_folder import RunRecord, read_record


@dataclass(frozen=True, slots=True)
class Ancestry:
    """``records`` of a run and of those before it, the newest first; ``complete`` where the last of
    them began with random weights, so that nothing is missing."""

    records: tuple[RunRecord, ...]
    complete: bool


def ancestry(folder: Path) -> Ancestry:
    """The run in ``folder`` and what it started from, back to its beginnings.

    Files of weights do not say what they were trained on, and a run's folder may be gone or have
    been moved: the ancestry ends there. Raises ``TrainingError`` where ``folder`` itself is no run.
    """
    records, seen = [read_record(folder)], {folder.resolve()}
    while (start := records[-1].config.init.weights) is not None:
        before = _record(start)
        # Where runs were moved, a path may lead to another run, or back to this one.
        if before is None or start.resolve() in seen or not _fits(before, records[-1]):
            return Ancestry(tuple(records), complete=False)
        records.append(before)
        seen.add(start.resolve())
    return Ancestry(tuple(records), complete=True)


def _record(start: Path) -> RunRecord | None:
    try:
        return read_record(start) if start.is_dir() else None
    except TrainingError:
        return None


def _fits(before: RunRecord, after: RunRecord) -> bool:
    """Whether the weights of one run may have started the other; a run demands as much."""
    ours, theirs = after.config.model, before.config.model
    return (ours.architecture, ours.scaling) == (theirs.architecture, theirs.scaling)
