"""Videos prepared side by side, each process by itself: one that dies costs its video alone."""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path

import cv2

from model_export.data.prepared import PreparedVideo
from model_export.data.worker import CutOptions, Job, StorageFailed, VideoCutter
from model_export.errors import DataError

_READY = "ready"
_GRACE = 60.0
"""Seconds beyond its deadlines after which a process must be stuck in a decoder's call."""


def prepare_all(
    jobs: Sequence[Job], options: CutOptions, folder: Path, processes: int
) -> Iterator[PreparedVideo]:
    """Rows in the order in which the videos are done. Where a process dies or gets stuck, its
    video's row says so and another process takes its place.

    Raises ``StorageFailed``, and ``DataError`` where no process can start. Whatever ends this
    generator ends the processes.
    """
    waiting = deque(jobs)
    crew = [_Process(options, folder) for _ in range(min(processes, len(jobs)))]
    try:
        while waiting or any(each.job for each in crew):
            for each in crew:
                if each.job is None and waiting:
                    each.give(waiting.popleft())
            working = [each for each in crew if each.job]
            wait([each.connection for each in working], timeout=1.0)
            for each in working:
                row = each.row()
                if row is not None:
                    yield row
                if waiting and not each.process.is_alive():
                    crew[crew.index(each)] = _Process(options, folder)
    finally:
        for each in crew:
            each.stop()


@dataclass(slots=True)
class _Process:
    """A process and what it is working on."""

    options: CutOptions
    folder: Path
    job: Job | None = None
    began: float = 0.0
    started: bool = False
    connection: Connection[Job, object] = field(init=False)
    process: multiprocessing.process.BaseProcess = field(init=False)

    def __post_init__(self) -> None:
        # A fork would inherit the locks of OpenCV's and ONNX Runtime's threads without the threads.
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        work = (theirs, self.options, self.folder)
        self.process = context.Process(target=_work, args=work, daemon=True)
        self.process.start()
        theirs.close()

    def give(self, job: Job) -> None:
        self.job, self.began = job, time.monotonic()
        with suppress(OSError):  # It has died; ``row`` finds out.
            self.connection.send(job)

    def row(self) -> PreparedVideo | None:
        """The row of its video once it is done, one way or the other."""
        try:
            if self.connection.poll():
                return self._received(self.connection.recv())
        except (EOFError, OSError):
            self.process.join()
            if not self.started:
                raise DataError("a process that prepares videos could not start") from None
            return self._lost("crashed", f"the process died on it ({self._cause()})")
        if time.monotonic() - self.began > 2 * self.options.seconds + _GRACE:
            self.stop()
            return self._lost("too_slow", "decoding did not end and was stopped")
        return None

    def stop(self) -> None:
        """End it at once; files it had not finished are left behind under temporary names."""
        self.process.kill()
        self.process.join()
        self.connection.close()

    def _received(self, message: object) -> PreparedVideo | None:
        if isinstance(message, StorageFailed):
            raise message
        if isinstance(message, PreparedVideo):
            self.job = None
            return message
        self.started = True
        return None

    def _lost(self, status: str, reason: str) -> PreparedVideo:
        assert self.job is not None
        video, self.job = self.job.video, None
        seconds = time.monotonic() - self.began
        message = f"{Path(video.location).name}: {reason}"
        return PreparedVideo(video, status, message, 0, 0, seconds)

    def _cause(self) -> str:
        code = self.process.exitcode or 0
        return signal.Signals(-code).name if code < 0 else f"exit status {code}"


def _work(connection: Connection[object, Job], options: CutOptions, folder: Path) -> None:
    """What a process does until nobody is there to give it a video."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Whoever gives the work ends it, and tidies up.
    cv2.setNumThreads(1)
    cutter = VideoCutter(options, folder)
    try:
        connection.send(_READY)
        while True:
            connection.send(_result(cutter, connection.recv()))
    except (EOFError, ConnectionError):
        return


def _result(cutter: VideoCutter, job: Job) -> PreparedVideo | StorageFailed:
    try:
        return cutter.prepare(job)
    except StorageFailed as error:
        return error
