"""Media as the reader of videos needs them."""

from __future__ import annotations

from typing import Protocol


class Readable(Protocol):
    """Media of which any part can be had."""

    @property
    def size(self) -> int:
        """Bytes in all."""
        ...

    def read(self, offset: int, size: int) -> bytes:
        """The bytes from ``offset`` on, fewer than ``size`` at the end alone."""
        ...


class Held:
    """Media held whole in memory."""

    def __init__(self, data: bytes) -> None:
        self._view, self.size = memoryview(data), len(data)

    def read(self, offset: int, size: int) -> bytes:
        """See ``Readable``."""
        return self._view[offset : offset + size].tobytes()
