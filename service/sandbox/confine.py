"""A process gives up what it will not need, for good.

Each layer stands by itself, so that what one kernel lacks or one hole lets through is refused by
another: see ``docs/sandbox.md``. Layers return whether they hold. Apart from Linux only the
resource limits exist.
"""

from __future__ import annotations

import ctypes
import math
import os
import resource
import signal
import struct
import sys
from collections.abc import Callable

from service.sandbox import seccomp

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_NO_NEW_PRIVS = 38

# The same numbers on every architecture.
_LANDLOCK_CREATE_RULESET = 444
_LANDLOCK_RESTRICT_SELF = 446
_LANDLOCK_VERSION = 1

_CAPABILITY_VERSION_3 = 0x20080522


def _linux() -> bool:
    return sys.platform == "linux"


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _prctl(option: int, value: int) -> bool:
    zero = ctypes.c_ulong(0)
    return _linux() and _libc().prctl(option, ctypes.c_ulong(value), zero, zero, zero) == 0


def end_with(parent: int) -> None:
    """Die when the parent does, also when it already has."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def bound(limit: int, value: int, hard: int | None = None) -> bool:
    """Sets a resource limit, never above what it is."""
    try:
        before = resource.getrlimit(limit)[1]
        most = value if hard is None else hard
        if before != resource.RLIM_INFINITY:
            value, most = min(value, before), min(most, before)
        resource.setrlimit(limit, (value, most))
    except (OSError, ValueError):  # macOS knows limits that it does not let anybody set.
        return False
    return True


def no_files_and_dumps() -> bool:
    """Nothing may be written to a disk. Linux takes a core limit of 1, not of 0, to also mean
    handlers behind a pipe."""
    written = bound(resource.RLIMIT_FSIZE, 0)
    return bound(resource.RLIMIT_CORE, 1) and written


def memory(size: int) -> bool:
    """No more than ``size`` bytes of address space."""
    return bound(resource.RLIMIT_AS, size)


def processor(seconds: float) -> bool:
    """SIGXCPU after so much processor time, and SIGKILL for who does not heed it."""
    whole = max(1, math.ceil(seconds))
    return bound(resource.RLIMIT_CPU, whole, whole + 1)


def descriptors() -> bool:
    """No descriptor beside those that are open: no file, no socket, no pipe."""
    return bound(resource.RLIMIT_NOFILE, 0)


def processes() -> bool:
    """No process and no thread. The kernel does not hold root to this."""
    return bound(resource.RLIMIT_NPROC, 0) and os.getuid() != 0


def no_new_privileges() -> bool:
    """No program gives rights that this process lacks."""
    return _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def unreadable() -> bool:
    """No other process of the same user may look into this one, and no dump is made of it."""
    return _prctl(_PR_SET_DUMPABLE, 0)


def expendable() -> bool:
    """Where memory runs out, the kernel ends this process rather than others."""
    # What nobody may look into belongs to root, this file as well.
    _prctl(_PR_SET_DUMPABLE, 1)
    try:
        with open("/proc/self/oom_score_adj", "w") as badness:
            badness.write("1000")
    except OSError:
        return False
    return True


def no_capabilities() -> bool:
    """None of root's powers."""
    if not _linux():
        return False
    header = struct.pack("Ii", _CAPABILITY_VERSION_3, 0)
    return bool(_libc().capset(header, bytes(24)) == 0)


def landlock() -> int:
    """No file may be opened, made, changed or run, no TCP port used, no process outside reached by
    signals or abstract sockets. Gives the version of the kernel's interface; 0: it has none."""
    if not _linux():
        return 0
    call = _libc().syscall
    number = ctypes.c_long
    version = call(number(_LANDLOCK_CREATE_RULESET), None, number(0), number(_LANDLOCK_VERSION))
    if version < 1:
        return 0
    rights = 2**13 - 1  # execute, write, read, list, remove and make, of every kind
    rights |= 2**13 if version >= 2 else 0  # move to another folder
    rights |= 2**14 if version >= 3 else 0  # truncate
    rights |= 2**15 if version >= 5 else 0  # control devices
    handled = struct.pack("Q", rights)
    handled += struct.pack("Q", 0b11) if version >= 4 else b""  # bind and connect TCP
    handled += struct.pack("Q", 0b11) if version >= 6 else b""  # abstract sockets, signals
    # What is handled and allowed by no rule is refused.
    rules = call(number(_LANDLOCK_CREATE_RULESET), handled, number(len(handled)), number(0))
    if rules < 0:
        return 0
    held = call(number(_LANDLOCK_RESTRICT_SELF), number(rules), number(0)) == 0
    os.close(rules)
    return int(version) if held else 0


def confine(*, address_space: int, cpu_seconds: float) -> tuple[str, ...]:
    """All of it, for a child that has but its open sockets left. Gives the layers that hold."""
    no_new_privileges()
    layers: dict[str, Callable[[], bool]] = {
        "memory": lambda: memory(address_space),
        "processor": lambda: processor(cpu_seconds),
        "files": no_files_and_dumps,
        "capabilities": no_capabilities,
        "processes": processes,
        "unreadable": unreadable,
    }
    held = [name for name, layer in layers.items() if layer()]
    version = landlock()
    if version:
        held.append(f"landlock-{version}")
    if descriptors():
        held.append("descriptors")
    # Last: it refuses what the others are set up with.
    if seccomp.install():
        held.append("seccomp")
    return tuple(held)
