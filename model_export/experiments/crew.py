"""Trainings side by side, each in a process of its own on its share of the cores.

Small networks gain little from a second core, so two trainings on a core each are done before one
after the other on both.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

import cv2
import torch

from model_export.errors import ModelExportError, TrainingError
from model_export.experiments.laboratory import Job, Laboratory
from model_export.training.interruption import Interruption, accept_termination, fork_server
from model_export.training.memory import keep_freed_memory


def train_all(
    laboratory: Laboratory, jobs: Sequence[Job], processes: int, tell: Callable[[str], None]
) -> None:
    """Train and score every job, ``processes`` at a time: first what starts from random weights,
    the sources of transfers among them, then the transfers. ``tell`` gets a line for each that is
    done.

    Raises ``TrainingError`` as a training does, and where a process dies. Whatever ends this ends
    the others at their next step; all can be taken up again.
    """
    sources = [(network, strategy.start or strategy, seed) for network, strategy, seed in jobs]
    waves = [list(dict.fromkeys(sources)), [job for job in dict.fromkeys(jobs) if job[1].start]]
    everything, count = sum(len(wave) for wave in waves), 0
    tell(f"{everything} trainings, {processes} at a time")
    for wave in waves:
        for network, strategy, seed in _all_done(laboratory, wave, processes):
            count += 1
            tell(f"{count} of {everything}: {network}, {strategy}, seed {seed}: done")


def _all_done(laboratory: Laboratory, jobs: Sequence[Job], processes: int) -> Iterator[Job]:
    """Each job when it is done."""
    threads = max(1, len(os.sched_getaffinity(0)) // processes)
    waiting, working = deque(jobs), list[_Training]()
    with Interruption() as interruption:
        try:
            while waiting or working:
                while waiting and len(working) < processes:
                    working.append(_Training(laboratory, waiting.popleft(), threads))
                wait([each.process.sentinel for each in working], timeout=0.5)
                if interruption.asked:
                    raise TrainingError("stopped. The same command goes on from there")
                for ended in [each for each in working if not each.process.is_alive()]:
                    working.remove(ended)
                    ended.check()
                    yield ended.job
        finally:
            for each in working:
                each.process.terminate()  # It saves its state first.
            for each in working:
                each.process.join()


@dataclass(slots=True)
class _Training:
    """A job and the process that does it."""

    laboratory: Laboratory
    job: Job
    threads: int
    process: BaseProcess = field(init=False)
    said: Connection[None, str] = field(init=False)

    def __post_init__(self) -> None:
        context = fork_server(__name__)
        self.said, theirs = context.Pipe(duplex=False)
        alone = replace(self.laboratory, console=None)
        self.process = context.Process(target=_do, args=(alone, self.job, self.threads, theirs))
        self.process.start()
        theirs.close()

    def check(self) -> None:
        """Raise what went wrong in a process that has ended."""
        with self.said, suppress(EOFError):
            # Where the server of forks died, its children still live and say nothing yet.
            if self.said.poll():
                raise TrainingError(self.said.recv())
        if self.process.exitcode != 0:
            network, strategy, seed = self.job
            raise TrainingError(
                f"{network}, {strategy}, seed {seed}: the process died (exit status "
                f"{self.process.exitcode}), of too little memory perhaps: try fewer --processes"
            )


def _do(laboratory: Laboratory, job: Job, threads: int, said: Connection[str, None]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Whoever gives the job ends it.
    accept_termination()
    threading.Thread(target=_follow, daemon=True).start()
    keep_freed_memory()
    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)
    try:
        laboratory.scores(laboratory.train(*job))
    except ModelExportError as error:
        with suppress(BrokenPipeError):
            said.send(str(error))


def _follow() -> None:
    """End when the process that gave the job is no more."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
