"""How preparation goes, while it does and once it is done."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from model_export.data.naming import shown
from model_export.data.prepared import PreparedVideo
from model_export.data.worker import OK


class PreparationProgress:
    """A bar with videos, clips, source frames decoded a second and failures."""

    def __init__(self, videos: int, done: int, console: Console | None = None) -> None:
        self._progress = Progress(
            TextColumn("preparing"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("videos, {task.fields[clips]} clips, {task.fields[rate]:.0f} frames/s,"),
            TextColumn("{task.fields[failed]} failed"),
            TimeRemainingColumn(),
            console=console,
        )
        self._task = self._progress.add_task("", total=videos, clips=0, rate=0.0, failed=0)
        self._progress.update(self._task, completed=done)
        self._clips = self._frames = self._failed = 0
        self._began = time.monotonic()

    def add(self, row: PreparedVideo) -> None:
        """Count a video that was just done."""
        self._clips += row.clips
        self._frames += row.frames_decoded
        self._failed += row.status != OK
        self._progress.update(
            self._task,
            advance=1,
            clips=self._clips,
            rate=self._frames / (time.monotonic() - self._began),
            failed=self._failed,
        )

    def __enter__(self) -> PreparationProgress:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()


def closing_table(rows: Sequence[PreparedVideo]) -> Table:
    """What became of the videos: a line for every status, with the first message of each."""
    table = Table("status", "videos", "clips", "for example")
    kinds: defaultdict[str, list[PreparedVideo]] = defaultdict(list)
    for row in rows:
        kinds[_kind(row)].append(row)
    for kind in sorted(kinds, key=lambda kind: (not kind.startswith(OK), kind)):
        own = kinds[kind]
        clips = sum(row.clips for row in own)
        # File names are shown as they are, never read as markup.
        table.add_row(kind, str(len(own)), str(clips), Text(shown(own[0].message)))
    return table


def _kind(row: PreparedVideo) -> str:
    return f"{OK}, without twin" if row.status == OK and row.message else row.status
