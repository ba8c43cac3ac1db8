"""Progress bars in a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from service.engine import Event
from service.engine import Progress as Reached


@contextmanager
def progress_bar(console: Console) -> Iterator[Callable[[Event], None]]:
    """A bar over the video's seconds; feed it every event. Shows nothing where the console is no
    terminal."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.1f}/{task.total:.1f} s of video"),
        TextColumn("{task.fields[clips]} clips"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("Scoring", total=0.0, clips=0)

        def show(event: Event) -> None:
            if isinstance(event, Reached):
                bar.update(task, completed=event.position, total=event.duration, clips=event.clips)

        yield show


@contextmanager
def download_bar(console: Console) -> Iterator[Callable[[int, int | None], None]]:
    """A bar over a download; feed it the bytes that arrived and, where known, all there are."""
    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("Fetching", total=None)

        def show(done: int, total: int | None) -> None:
            bar.update(task, completed=done, total=total)

        yield show


@contextmanager
def counting_bar(console: Console, noun: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar over so many things; feed it how many are done."""
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn(noun), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(noun, total=total)

        def show(done: int) -> None:
            bar.update(task, completed=done)

        yield show
