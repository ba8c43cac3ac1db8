"""The children of a nursery: forked, signalled and reaped by the numbers that the parent gives."""

from __future__ import annotations

import os
import select
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

from service.faces.detector import FaceDetector
from service.sandbox import child, confine
from service.sandbox.commands import COMMAND, FORK, NOT_FORKED, OUT_OF_MEMORY, RANK
from service.sandbox.loading import Loading
from service.sandbox.messages import Born, Ended
from service.sandbox.wire import PlainChannel

DESCRIPTORS = 256
"""A nursery has no more than these, which a child closes."""


class Brood:
    """All children that run."""

    def __init__(self, control: socket.socket, loading: Loading, detector: FaceDetector) -> None:
        self._control, self._loading, self._detector = control, loading, detector
        self._numbers: dict[int, int] = {}
        """By process id, until it is reaped: an id cannot have come to mean another process."""
        self._woken, self._wake = socket.socketpair()
        self._wake.setblocking(False)

    def rear(self) -> None:
        """Do what the parent wants until it lets go; then all children end."""
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wake.fileno(), warn_on_full_buffer=False)
        wanted = True
        while wanted:
            readable = select.select([self._control, self._woken], [], [])[0]
            if self._woken in readable:
                self._woken.recv(4096)
                self._reap()
            if self._control in readable:
                wanted = self._obey()
        for pid in self._numbers:
            os.kill(pid, signal.SIGKILL)
        for pid in self._numbers:
            os.waitpid(pid, 0)

    def _obey(self) -> bool:
        """One command; False where no more will come."""
        command, descriptors, _, _ = socket.recv_fds(self._control, COMMAND.size, 1)
        if len(command) < COMMAND.size:
            return False
        kind, number, value = COMMAND.unpack(command)
        if kind == FORK:
            self._bear(number, descriptors[0])
        else:
            for pid in [pid for pid, each in self._numbers.items() if each == number]:
                if kind == RANK:
                    # Of the group: of a process it would be that of its first thread alone.
                    os.setpriority(os.PRIO_PGRP, pid, value)
                else:
                    os.kill(pid, value)
        return True

    def _bear(self, number: int, descriptor: int) -> None:
        try:
            pid = fork(descriptor, self._loading, self._live)
        except OSError:
            self._tell(Ended(number=number, code=NOT_FORKED))
        else:
            self._numbers[pid] = number
            self._tell(Born(number=number, pid=pid))
        os.close(descriptor)

    def _live(self, channel: PlainChannel, _: tuple[str, ...]) -> int:
        return child.serve(channel, self._detector)

    def _reap(self) -> None:
        while self._numbers:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            code = os.waitstatus_to_exitcode(status)
            self._tell(Ended(number=self._numbers.pop(pid), code=code))

    def _tell(self, news: Born | Ended) -> None:
        PlainChannel(self._control).send(news.model_dump_json())


def fork(
    descriptor: int, loading: Loading, live: Callable[[PlainChannel, tuple[str, ...]], int]
) -> int:
    """Fork a child and give its process id. Its socket becomes its only descriptor, it is confined,
    and does ``live`` with its channel and the layers that hold, which gives its exit code."""
    nursery = os.getpid()
    pid = os.fork()
    if not pid:
        _child(nursery, descriptor, loading, live)
    # The child does the same; whoever is first, its group is there before a command is about it.
    with suppress(OSError):
        os.setpgid(pid, pid)
    return pid


def _child(
    nursery: int,
    descriptor: int,
    loading: Loading,
    live: Callable[[PlainChannel, tuple[str, ...]], int],
) -> NoReturn:
    code = 1
    try:
        confine.end_with(nursery)
        os.setpgid(0, 0)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.dup2(descriptor, 0)
        os.closerange(1, DESCRIPTORS)
        confine.expendable()
        channel = PlainChannel(socket.socket(fileno=0))
        layers = confine.confine(address_space=loading.memory, cpu_seconds=loading.cpu_seconds)
        code = live(channel, layers)
    except MemoryError:
        code = OUT_OF_MEMORY
    finally:
        os._exit(code)
