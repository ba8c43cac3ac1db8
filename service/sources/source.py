"""Media of which any part can be read: uploads held in memory, later files behind a URL."""

from __future__ import annotations

from typing import Protocol


class Source(Protocol):
    """Where the bytes of one media come from."""

    @property
    def size(self) -> int:
        """Bytes in all."""
        ...

    async def read(self, offset: int, size: int) -> bytes:
        """The bytes from ``offset`` on, fewer than ``size`` at the end alone. Raises
        ``ServiceError`` where they cannot be had."""
        ...


class Memory:
    """Media held whole in memory."""

    def __init__(self, data: bytes) -> None:
        self._view = memoryview(data)

    @property
    def size(self) -> int:
        """Bytes in all."""
        return len(self._view)

    async def read(self, offset: int, size: int) -> bytes:
        """See ``Source``."""
        return self._view[offset : offset + size].tobytes()
