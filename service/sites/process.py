"""The parent's side of a process that reads a page."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import service
from service.errors import TooSlow, WorkerLost
from service.sandbox.messages import Broken
from service.sandbox.wire import Channel
from service.sites.messages import POSTED_BYTES, FromWorker, from_worker

MODULE = "service.sites.worker"


class Process:
    """One that runs; ``running`` makes it."""

    def __init__(self, process: subprocess.Popen[bytes], channel: Channel) -> None:
        self._process, self._channel = process, channel

    async def send(self, head: str, body: bytes = b"") -> None:
        """Say something to it. Raises ``WorkerLost`` and ``TooSlow``."""
        try:
            await self._channel.send(head.encode(), body)
        except OSError:
            raise self._lost() from None

    async def receive(self) -> tuple[FromWorker, bytes]:
        """What it says next. Raises ``WorkerLost``, also for what it may not say, and ``TooSlow``
        where the kernel ended it for its use of the processor."""
        try:
            head, size = await self._channel.head()
            if size > POSTED_BYTES:
                raise Broken("a body too long")
            return from_worker(head), bytes(await self._channel.body(size))
        except (OSError, EOFError, Broken):
            raise self._lost() from None

    def _lost(self) -> WorkerLost | TooSlow:
        self.end()
        if self._process.returncode == -signal.SIGXCPU:
            return TooSlow("Reading the page takes too much processor time.")
        return WorkerLost("The process that read the page ended unexpectedly.")

    def end(self) -> None:
        """Kill it and wait for it, which takes no longer than freeing its memory does."""
        self._process.kill()
        self._process.wait()


@contextmanager
def running() -> Iterator[Process]:
    """A new process, which is gone after the block. Raises ``WorkerLost`` where there is none to be
    had."""
    ours, theirs = socket.socketpair()
    channel = Channel(ours)
    try:
        with theirs:
            popen = _launch(theirs)
        process = Process(popen, channel)
        try:
            yield process
        finally:
            process.end()
    finally:
        channel.close()


def _launch(end: socket.socket) -> subprocess.Popen[bytes]:
    root = str(Path(service.__file__).parents[1])
    # Of the environment, which may hold secrets, nothing but where libraries are found.
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    try:
        return subprocess.Popen(
            [sys.executable, "-P", "-B", "-m", MODULE],
            stdin=end.fileno(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env={**kept, "PYTHONPATH": root, "YTDLP_NO_PLUGINS": "1"},
            start_new_session=True,
        )
    except OSError:
        raise WorkerLost("No process could be started to read the page.") from None
