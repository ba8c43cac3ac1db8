"""What networks run on: one batch at a time, off the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

_Result = TypeVar("_Result")


class Device:
    """A thread for the networks of one device, which take turns in the order in which they ask:
    on the same cores or GPU two at a time are no faster, and need the memory of both."""

    def __init__(self, name: str) -> None:
        self._thread = ThreadPoolExecutor(1, name)
        self._lock = asyncio.Lock()

    def turn(self) -> asyncio.Lock:
        """Hold it around ``run``."""
        return self._lock

    async def run(self, call: Callable[[], _Result]) -> _Result:
        """What ``call`` returns or raises. A thread cannot be stopped: when the caller is
        cancelled the end of a call that has begun is waited for."""
        future = asyncio.get_running_loop().run_in_executor(self._thread, call)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            while not future.done():
                with suppress(asyncio.CancelledError):
                    await asyncio.wait([future])
            if not future.cancelled():
                future.exception()  # Retrieved, or asyncio would complain that nobody did.
            raise

    async def close(self) -> None:
        """End the thread."""
        await asyncio.to_thread(self._thread.shutdown)
