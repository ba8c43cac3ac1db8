"""The C library's memory, for work that needs the same large pieces again and again."""

from __future__ import annotations

import ctypes

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
"""From glibc's malloc.h."""
_NEVER = 2**31 - 1


def keep_freed_memory() -> None:
    """Keep what is freed for the next that ask, for the rest of this process.

    Left to itself glibc gives every piece of megabytes back at once, and the kernel clears each of
    its pages when it is wanted again: half of the time of ShallowNetV3's training on a CPU. Does
    nothing where the C library is another.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_MAX, 0)
        mallopt(_TRIM_THRESHOLD, _NEVER)
