"""The parent's side of a nursery: starts it, has it fork, and learns how its children ended."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import service
from service.errors import ModelError
from service.sandbox.commands import COMMAND, FORK, RANK, SIGNAL
from service.sandbox.loading import Loading
from service.sandbox.messages import Born, Broken, Ended, Failed, FromNursery, Ready, from_nursery
from service.sandbox.wire import Channel

_START_SECONDS = 120.0
_STOP_SECONDS = 5.0
_LOOK_SECONDS = 0.005
_LOW_RANK = 10
"""Niceness at which a process gets a tenth of what it competes for, and all that is left."""

CANNOT_START = "the sandbox for videos cannot start"
DIED = "the sandbox for videos ended"
_CRASHED = "a process that read a video crashed"
_TAKEN_OVER = "a process that read a video said what none may say"


@dataclass(slots=True)
class Child:
    """A process that reads one video. ``end`` gets its exit code, minus the signal that killed it,
    or None where nobody knows."""

    nurse: Nurse
    number: int
    channel: Channel
    end: asyncio.Future[int | None]
    unwanted: bool = False
    """Whether the parent has killed it."""
    pid: int | None = None
    """Its process id, once the nursery has told."""
    greedy: bool = False
    """Whether it was killed for the memory it held."""

    def kill(self) -> None:
        """End it; at once, and in whatever state it is."""
        self.unwanted = True
        self.nurse.signal(self.number, signal.SIGKILL)

    def stop(self) -> None:
        """Halt it."""
        self.nurse.signal(self.number, signal.SIGSTOP)

    def go_on(self) -> None:
        """After ``stop``."""
        self.nurse.signal(self.number, signal.SIGCONT)

    def make_way(self) -> None:
        """Let everything else on this machine have the processors first, from now on."""
        self.nurse.rank(self.number, _LOW_RANK)


class Nurse:
    """One nursery. ``trouble`` is told that a child crashed or that the nursery died by itself."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        control: socket.socket,
        channel: Channel,
        ready: Ready,
        trouble: Callable[[str], None],
    ) -> None:
        self._process, self._control, self._channel = process, control, channel
        self._trouble = trouble
        self.detector, self.layers = ready.detector, ready.layers
        self.children: dict[int, Child] = {}
        """Those that have not ended."""
        self.forked = 0
        """Children ever."""
        self.alive = True
        """Whether it takes commands."""
        self._stopping = False
        self._listening = asyncio.create_task(self._listen())

    @classmethod
    async def start(cls, loading: Loading, trouble: Callable[[str], None]) -> Nurse:
        """A nursery that is ready. Raises ``ModelError``, without folder names."""
        try:
            process, control = _launch()
        except OSError:
            raise ModelError(CANNOT_START) from None
        channel = Channel(control)
        try:
            async with asyncio.timeout(_START_SECONDS):
                await channel.send(loading.dump())
                first = await _word(channel)
            if isinstance(first, Ready):
                return cls(process, control, channel, first, trouble)
            raise ModelError(first.reason if isinstance(first, Failed) else CANNOT_START)
        except BaseException as error:
            process.kill()
            process.wait()
            channel.close()
            if isinstance(error, OSError | EOFError | Broken):  # A timeout is an OSError as well.
                raise ModelError(CANNOT_START) from None
            raise

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def fork(self) -> Child:
        """A new child. Where the nursery is just dying the child's end comes at once."""
        self.forked += 1
        ours, theirs = socket.socketpair()
        child = Child(self, self.forked, Channel(ours), asyncio.get_running_loop().create_future())
        self.children[child.number] = child
        with theirs:
            self._command(FORK, child.number, 0, [theirs.fileno()])
        return child

    def signal(self, number: int, sent: signal.Signals) -> None:
        """Send a signal to a child; nothing happens where it has ended."""
        if number in self.children:
            self._command(SIGNAL, number, sent, [])

    def rank(self, number: int, niceness: int) -> None:
        """Give a child a niceness, for good; nothing happens where it has ended."""
        if number in self.children:
            self._command(RANK, number, niceness, [])

    def distrust(self) -> None:
        """A child has been taken over."""
        self._trouble(_TAKEN_OVER)

    async def retire(self) -> None:
        """Stop as soon as the last child has ended."""
        while self.children:
            await asyncio.wait([child.end for child in self.children.values()])
        await self.stop()

    async def stop(self) -> None:
        """End the nursery and its children and wait for them."""
        self._stopping, self.alive = True, False
        self._let_go()
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                await asyncio.shield(self._listening)
        except TimeoutError:
            self._process.kill()
            await self._listening

    def _command(self, kind: bytes, number: int, sent: int, descriptors: list[int]) -> None:
        try:
            socket.send_fds(self._control, [COMMAND.pack(kind, number, sent)], descriptors)
        except OSError:
            # Dead, or deaf to hundreds of commands: its children end with it.
            self.alive = False
            self._process.kill()

    def _let_go(self) -> None:
        with suppress(OSError):
            self._control.shutdown(socket.SHUT_WR)

    async def _listen(self) -> None:
        """Take note of ends until the nursery's own."""
        try:
            while True:
                word = await _word(self._channel)
                if isinstance(word, Born) and word.number in self.children:
                    self.children[word.number].pid = word.pid
                elif isinstance(word, Ended):
                    self._ended(word.number, word.code)
        except (OSError, EOFError, Broken):
            pass
        self.alive = False
        for number in list(self.children):
            self._ended(number, None)
        # Before anybody who waits for these ends asks for a new nursery and seems to be the cause.
        if not self._stopping:
            self._trouble(DIED)
        await self._reap()
        self._channel.close()

    async def _reap(self) -> None:
        self._process.kill()
        while True:
            if self._process.poll() is not None:
                return
            await asyncio.sleep(_LOOK_SECONDS)

    def _ended(self, number: int, code: int | None) -> None:
        child = self.children.pop(number)
        if not child.end.done():
            child.end.set_result(code)
        if code is not None and crashed(code) and not child.unwanted:
            self._trouble(_CRASHED)


def crashed(code: int) -> bool:
    """Whether a child was killed by a signal, other than for its use of the processor."""
    return code < 0 and -code not in (signal.SIGXCPU, signal.SIGPROF)


async def _word(channel: Channel) -> FromNursery:
    head, body = await channel.head()
    if body:
        raise Broken("a nursery's words have no body")
    return from_nursery(head)


def _launch() -> tuple[subprocess.Popen[bytes], socket.socket]:
    """The process, and this end of the socket to it. Raises ``OSError``."""
    root = str(Path(service.__file__).parents[1])
    # Of the environment, which may hold secrets, nothing but where libraries are found.
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    control, theirs = socket.socketpair()
    with theirs:
        try:
            process = subprocess.Popen(
                [sys.executable, "-P", "-B", "-m", "service.sandbox.nursery"],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                env={
                    **kept,
                    "PYTHONPATH": root,
                    # Libraries that start a thread per core cannot be forked.
                    "OMP_NUM_THREADS": "1",
                    "OPENBLAS_NUM_THREADS": "1",
                },
                start_new_session=True,
            )
        except OSError:
            control.close()
            raise
    return process, control
