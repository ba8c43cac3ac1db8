"""Memory for clips that wait, shared by all who make them wait."""

from __future__ import annotations

import asyncio

ALWAYS = 2
"""So many clips a lane may hold whatever the others do: nobody stands still because of them."""


class Room:
    """``most`` bytes for the clips of all lanes together, beyond the ``ALWAYS`` of each."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken = 0
        self._freed = asyncio.Event()

    def fits(self, size: int) -> bool:
        """Whether there is space for a clip of so many bytes."""
        return self._taken + size <= self._most

    def take(self, size: int) -> None:
        """A clip has come; one of a lane's few may come where nothing fits."""
        self._taken += size

    def free(self, size: int) -> None:
        """Clips of so many bytes are gone."""
        self._taken -= size
        self._freed.set()

    async def freed(self) -> None:
        """Wait until a clip is gone."""
        self._freed.clear()
        await self._freed.wait()
