"""Media of which any part can be read: uploads held in memory, files behind a URL."""

from __future__ import annotations

import hashlib
from typing import Protocol


class Source(Protocol):
    """Where the bytes of one media come from."""

    @property
    def size(self) -> int:
        """Bytes in all."""
        ...

    @property
    def sha256(self) -> str | None:
        """Lower-case hex of all bytes; None while some of them have not been seen."""
        ...

    @property
    def kept(self) -> bool:
        """Whether what was read stays in memory, so that what is hashed is what was read."""
        ...

    @property
    def fetched(self) -> int:
        """Bytes that came from outside so far."""
        ...

    @property
    def waited(self) -> float:
        """Seconds in which an origin was waited for so far; 0 for what was sent."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know about where the media come from, in sentences."""
        ...

    async def hashed(self) -> str:
        """The hash of all bytes, after those that are missing have been read. Raises
        ``ServiceError`` where they cannot be had."""
        ...

    async def read(self, offset: int, size: int) -> bytes:
        """The bytes from ``offset`` on, fewer than ``size`` at the end alone. Raises
        ``ServiceError`` where they cannot be had."""
        ...


class Memory:
    """Media held whole in memory; ``sha256`` spares a hash where it is known, ``waited`` is what it
    took to fetch them."""

    kept = True

    def __init__(
        self,
        data: bytes,
        sha256: str | None = None,
        waited: float = 0.0,
        notes: tuple[str, ...] = (),
    ) -> None:
        self.waited, self.notes = waited, notes
        self._view = memoryview(data)
        self.sha256 = sha256 or hashlib.sha256(data).hexdigest()

    @property
    def size(self) -> int:
        """Bytes in all."""
        return len(self._view)

    @property
    def fetched(self) -> int:
        """The same: all of them came."""
        return self.size

    async def hashed(self) -> str:
        """See ``Source``."""
        return self.sha256

    async def read(self, offset: int, size: int) -> bytes:
        """See ``Source``."""
        return self._view[offset : offset + size].tobytes()
