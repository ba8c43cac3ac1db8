"""A process that takes on layers of confinement and then tries what hostile code would.

    python -m tests.unit.sandbox.captive FOLDER PORT [layer ...]

Prints a line for each attempt: its name and how it went.
"""

from __future__ import annotations

import _thread
import ctypes
import errno
import os
import resource
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

from service.sandbox import confine, seccomp

FILE = "planted.txt"
_PR_GET_DUMPABLE = 3
_MEMORY = 2**30


class _Part(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


def main() -> None:
    folder, port, layers = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    open_file = os.open(folder / FILE, os.O_RDWR)
    caller = socket.socket()
    libc = ctypes.CDLL(None, use_errno=True)
    parent = os.getppid()

    def fork() -> None:
        if os.fork() == 0:
            os._exit(0)

    def peek() -> None:
        into = ctypes.create_string_buffer(1)
        local, remote = _Part(ctypes.addressof(into), 1), _Part(1, 1)
        libc.process_vm_readv(parent, ctypes.byref(local), 1, ctypes.byref(remote), 1, 0)
        # Nothing lies at that address: to be told so is to be allowed to look.
        if ctypes.get_errno() != errno.EFAULT:
            raise OSError(ctypes.get_errno(), "")

    def dump() -> None:
        if libc.prctl(_PR_GET_DUMPABLE, 0, 0, 0, 0) != 1:
            raise PermissionError

    attempts: dict[str, Callable[[], object]] = {
        "open": lambda: os.open(folder / FILE, os.O_RDONLY),
        "create": lambda: os.open(folder / "new.txt", os.O_CREAT | os.O_WRONLY),
        "write": lambda: os.write(open_file, b"x" * 4096),
        "socket": socket.socket,
        "connect": lambda: caller.connect(("127.0.0.1", port)),
        "fork": fork,
        "thread": lambda: _thread.start_new_thread(time.sleep, (0,)),
        "peek": peek,
        "signal": lambda: os.kill(parent, 0),
        "limit": lambda: resource.prlimit(parent, resource.RLIMIT_CPU),
        "allocate": lambda: bytes(2 * _MEMORY),
        "priority": lambda: os.setpriority(os.PRIO_PROCESS, 0, -1),
        "dump": dump,
        "exec": lambda: os.execv("/bin/sh", ["sh", "-c", "echo exec done"]),
    }
    _take_on(layers)
    for name, attempt in attempts.items():
        try:
            attempt()
            outcome = "done"
        except (OSError, MemoryError, RuntimeError) as error:
            outcome = type(error).__name__
        os.write(1, f"{name} {outcome}\n".encode())


def _take_on(layers: list[str]) -> None:
    if "user" in layers and os.getuid() == 0:
        os.setresuid(65534, 65534, 65534)  # The kernel does not hold root to some limits.
    if layers:
        confine.no_new_privileges()
    for layer in layers:
        match layer:
            case "all":
                confine.confine(address_space=_MEMORY, cpu_seconds=10)
            case "memory":
                confine.memory(_MEMORY)
            case "seccomp":
                seccomp.install()
            case "user":
                pass
            case _:
                getattr(confine, layer)()


if __name__ == "__main__":
    main()
