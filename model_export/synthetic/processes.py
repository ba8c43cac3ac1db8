"""The same work on many things, in other processes, with a bar to watch."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
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
    work: Callable[[T], R],
    lost: Callable[[T], R],
    things: Sequence[T],
    processes: int,
    title: str,
    console: Console,
) -> list[R]:
    """``work`` on every thing, results in order. Processes are spawned, a single one too, so that
    ``work`` and things must be picklable.

    Where a process dies, the thing it worked on gives what ``lost`` says of it here, and another
    process takes its place. Raises ``DataError`` where none can start.
    """
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        results = _results(work, lost, things, min(processes, len(things)))
        found = dict(progress.track(results, total=len(things), description=title))
    return [found[place] for place in range(len(things))]


def _results(
    work: Callable[[T], R], lost: Callable[[T], R], things: Sequence[T], processes: int
) -> Iterator[tuple[int, R]]:
    """Places and results as they are done. Each process is a pool of its own: of a pool that is
    shared, nobody can tell which thing a process died on."""
    waiting = deque(enumerate(things))
    crew = [_process() for _ in range(processes)]
    idle = list(crew)
    running: dict[Future[R], tuple[int, ProcessPoolExecutor]] = {}
    try:
        while waiting or running:
            while waiting and idle:
                place, thing = waiting.popleft()
                process = idle.pop()
                running[process.submit(work, thing)] = place, process
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                place, process = running.pop(future)
                try:
                    result = future.result()
                except BrokenProcessPool:
                    crew.remove(process)
                    process = _proven()
                    crew.append(process)
                    result = lost(things[place])
                idle.append(process)
                yield place, result
    finally:
        for process in crew:
            process.shutdown(cancel_futures=True)


def _process() -> ProcessPoolExecutor:
    # Forked ones would lack the threads OpenCV and x264 have started here.
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(1, context, initializer=_begin)


def _proven() -> ProcessPoolExecutor:
    """One that has started: where none can, no file is to blame."""
    process = _process()
    try:
        process.submit(abs, 0).result()
    except BrokenProcessPool:
        raise DataError("a process died as soon as it started: is memory short?") from None
    return process


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
