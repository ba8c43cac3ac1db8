"""One run on several devices: every process trains on its share of each step.

Gradients are averaged by ``DistributedDataParallel``; batch norms see their own device's clips,
and the first process' statistics are kept. Processes are started here or by ``torchrun``.
"""

from __future__ import annotations

import os
import signal
import socket
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
from torch import distributed, nn
from torch.multiprocessing.spawn import ProcessExitedException, start_processes
from torch.nn.parallel import DistributedDataParallel

from model_export.errors import ModelExportError, TrainingError
from model_export.training.interruption import accept_termination, fork_server

TIMEOUT = timedelta(hours=6)
"""The others wait while the first one validates and writes."""


@dataclass(frozen=True, slots=True)
class World:
    """Which of ``size`` processes this one is, and what it computes on."""

    rank: int
    size: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this process is the one that validates, writes and speaks."""
        return self.rank == 0

    def wrap(self, module: nn.Module, *, unused: bool) -> nn.Module:
        """``module`` with averaged gradients; ``unused``: some parameters may get none."""
        if self.size == 1:
            return module
        places = [self.device.index] if self.device.type == "cuda" else None
        return DistributedDataParallel(module, device_ids=places, find_unused_parameters=unused)

    def accumulating(self, module: nn.Module) -> AbstractContextManager[None]:
        """Within, gradients are added up here and averaged later."""
        if isinstance(module, DistributedDataParallel):
            return module.no_sync()
        return nullcontext()

    def total(self, count: int) -> int:
        """The sum of what each process counts."""
        if self.size == 1:
            return count
        return int(_reduced(torch.tensor(count, device=self.device), distributed.ReduceOp.SUM))

    def any(self, *flags: bool) -> list[bool]:
        """Each flag, whether any process has it set: all go the same way."""
        if self.size == 1:
            return list(flags)
        values = torch.tensor(flags, dtype=torch.uint8, device=self.device)
        return [bool(value) for value in _reduced(values, distributed.ReduceOp.MAX).tolist()]


_recent: deque[torch.Tensor] = deque(maxlen=8)
"""Gloo's threads must not be the last to let go of a tensor: they would need the interpreter's lock
for it, which whoever ends the group holds while waiting for them."""


def _reduced(values: torch.Tensor, how: distributed.ReduceOp.RedOpType) -> torch.Tensor:
    _recent.append(values)
    distributed.all_reduce(values, how)
    return values


@contextmanager
def joined_world() -> Iterator[World]:
    """This process among those that ``torchrun`` or ``spawn`` started; alone otherwise."""
    size, place = int(os.environ.get("WORLD_SIZE", 1)), int(os.environ.get("LOCAL_RANK", 0))
    _require_gpus(place + 1)
    device = torch.device("cuda", place) if torch.cuda.is_available() else torch.device("cpu")
    if size == 1:
        yield World(0, 1, device)
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=TIMEOUT)
    try:
        yield World(distributed.get_rank(), size, device)
    finally:
        distributed.destroy_process_group()


def spawn(devices: int, function: Callable[..., object], *arguments: object) -> None:
    """Run ``function(*arguments)`` in as many processes as there are devices, which join one world.

    All are ended when one fails. Raises ``TrainingError`` with what the first one said, and for
    more devices than there are GPUs.
    """
    _require_gpus(devices)
    server = fork_server("model_export.training.trainer")
    messages = server.SimpleQueue()
    told = (devices, _free_port(), messages, function, arguments)
    context = start_processes(  # type: ignore[no-untyped-call]
        _member, told, devices, join=False, start_method="forkserver"
    )

    def pass_on(number: int, frame: object) -> None:
        # Ctrl-C reaches the members too. SIGTERM may have been sent to this process alone or to
        # all, and they end at the second one of a kind: so they are told of it by the other.
        for pid in context.pids() if number == signal.SIGTERM else ():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGINT)

    before = {each: signal.signal(each, pass_on) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        while not context.join(grace_period=30):
            pass
    except ProcessExitedException:
        if messages.empty():
            raise
        raise TrainingError(messages.get()) from None
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _member(
    rank: int,
    devices: int,
    port: int,
    messages: Any,
    function: Callable[..., object],
    arguments: tuple[object, ...],
) -> None:
    accept_termination()
    os.environ |= {
        "MASTER_ADDR": "localhost",
        "MASTER_PORT": str(port),
        "WORLD_SIZE": str(devices),
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
    }
    try:
        function(*arguments)
    except ModelExportError as error:
        messages.put(str(error))
        raise SystemExit(1) from None


def _require_gpus(devices: int) -> None:
    there = torch.cuda.device_count()
    if torch.cuda.is_available() and devices > there:
        raise TrainingError(
            f"{devices} devices need as many GPUs, and there {'is' if there == 1 else 'are'} "
            f"{there}: ask for at most so many"
        )


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("localhost", 0))
        return int(found.getsockname()[1])
