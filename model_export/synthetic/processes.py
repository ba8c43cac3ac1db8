"""The same work on many things, on several processes, with a bar to watch."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from threading import Thread
from typing import TypeVar

import cv2
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from model_export.errors import DataError

T = TypeVar("T")
R = TypeVar("R")


def in_processes(
    work: Callable[[T], R], things: Sequence[T], processes: int, title: str, console: Console
) -> list[R]:
    """``work`` on every thing, results in order. One process is this one; others are spawned, so
    that ``work`` and things must be picklable. Raises ``DataError`` where a process dies."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        results = _results(work, things, processes)
        return list(progress.track(results, total=len(things), description=title))


def _results(work: Callable[[T], R], things: Sequence[T], processes: int) -> Iterator[R]:
    if processes <= 1:
        yield from map(work, things)
        return
    # Forked children would lack the threads OpenCV and x264 have started here.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(processes, context, initializer=_begin)
    try:
        yield from pool.map(work, things)
    except BrokenProcessPool:
        raise DataError(
            "a process died while it worked (out of memory, or a damaged video); run the command "
            "again to go on, with fewer processes"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _begin() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Whoever gives the work ends it.
    cv2.setNumThreads(1)
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A parent that is killed tells its children nothing; they would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
