"""What the process does to keep media in its memory, and nowhere else."""

from __future__ import annotations

import ctypes
import logging
import os
import resource
import stat
import sys

_PR_SET_DUMPABLE = 4
_OUTPUT, _ERRORS = 1, 2

_log = logging.getLogger("service")


def forbid_dumps() -> None:
    """No core dump, which would hold media, and no debugger of the same user.

    A process that is not dumpable cannot be attached to, nor its memory be read through /proc, by
    others of its own user.
    """
    # Linux takes 1, not 0, to also mean handlers behind a pipe. A container may have set less, and
    # no more can be had then; dumps are forbidden once more below.
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    size = 1 if hard == resource.RLIM_INFINITY else min(1, hard)
    resource.setrlimit(resource.RLIMIT_CORE, (size, size))
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def forbid_files() -> None:
    """No file grows by a byte, whatever a library tries; unless the log goes into one, which is
    said in the log."""
    if not _is_file(_OUTPUT) and not _is_file(_ERRORS):
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    elif resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 0:
        _log.warning("files can be written: standard output or error goes to one")
    elif not _is_file(_OUTPUT):
        _warn_of_lost_log()


def _warn_of_lost_log() -> None:
    """The log is empty where its file may not grow: say so where it is seen."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.getLogger().handlers[0].formatter)
    warning = "the log is lost: it goes to a file, and the size of files is limited to 0"
    record = _log.makeRecord(_log.name, logging.WARNING, "", 0, warning, (), None)
    handler.handle(record)


def _is_file(descriptor: int) -> bool:
    try:
        return stat.S_ISREG(os.fstat(descriptor).st_mode)
    except OSError:
        # A daemon may have closed it.
        return False
