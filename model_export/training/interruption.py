"""Ctrl-C and SIGTERM without losing a step, also where they reach every process of a run.

A terminal sends Ctrl-C to all of them, and schedulers send SIGTERM so. Those that serve the one
that trains must outlive it, or it would have no batches left to end its step with.
"""

from __future__ import annotations

import multiprocessing
import signal
import threading
from multiprocessing import resource_tracker
from multiprocessing.context import ForkServerContext
from multiprocessing.forkserver import ensure_running
from types import FrameType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """Within, Ctrl-C and SIGTERM are noted in ``asked`` and obeyed where it suits; the second one
    of a kind ends the process as it would have without. Only the main thread can note them."""

    def __init__(self) -> None:
        self.asked = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():
            self._before = {each: signal.signal(each, self._note) for each in _SIGNALS}
        return self

    def __exit__(self, *error: object) -> None:
        for each, handler in self._before.items():
            signal.signal(each, handler)
        self._before = {}

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        signal.signal(number, self._before.pop(signal.Signals(number)))


def fork_server(module: str) -> ForkServerContext:
    """Processes that are forked from one that has imported ``module`` and done nothing else: one
    forked from here would inherit the locks of OpenCV's and CUDA's threads without the threads,
    and one that starts from nothing takes seconds.

    SIGTERM does not end that process, since those it has forked would follow it. They inherit that
    and say for themselves what is to happen: ``accept_termination``, ``survive_once``.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([module])
    resource_tracker.ensure_running()  # It would be started within, and unblocks SIGTERM then.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return context


def accept_termination() -> None:
    """Let SIGTERM reach this process of a ``fork_server``."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})


def survive_once() -> None:
    """Leave it to another process when this one of a ``fork_server`` ends: Ctrl-C means that one,
    and so does the first SIGTERM. (A second one comes from Python where that one has gone.)"""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _next_time)
    accept_termination()


def _next_time(number: int, frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_DFL)
