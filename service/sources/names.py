"""Names to addresses, by the system's resolver.

It cannot be interrupted: while a name server keeps silent, a look-up goes on for as long as the
system likes, whoever still waits for it. So each has a daemon thread of its own, which unlike those
of a pool does not keep the process from ending, and there are never more than so many.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import suppress

MOST, MOST_CALLS = 48, 16
"""Look-ups at the same time, those included that nobody waits for any more: of where videos are,
and of who is called at the end of jobs, so that neither keep the others out."""


class Lookups:
    """Looks names up, so many at the same time."""

    def __init__(self, most: int) -> None:
        self._free = threading.BoundedSemaphore(most)

    async def __call__(self, host: str, port: int) -> list[str]:
        """All addresses of a name, best first. Raises ``OSError``, and where too many other names
        are being looked up, ``TimeoutError``, which is one."""
        if not self._free.acquire(blocking=False):
            raise TimeoutError
        loop = asyncio.get_running_loop()
        found: asyncio.Future[list[str]] = loop.create_future()

        def tell(addresses: list[str], error: Exception | None) -> None:
            if found.done():
                return
            if error is None:
                found.set_result(addresses)
            else:
                found.set_exception(error)

        def look_up() -> None:
            addresses: list[str] = []
            failure: Exception | None = None
            try:
                answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
                addresses = list(dict.fromkeys(str(each[4][0]) for each in answers))
            except Exception as error:
                failure = error
            finally:
                self._free.release()
            # Once the loop is closed nobody is left to be told.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(tell, addresses, failure)

        try:
            threading.Thread(target=look_up, name="resolver", daemon=True).start()
        except RuntimeError:
            # The system gives no thread out: too many, as above.
            self._free.release()
            raise TimeoutError from None
        return await found


resolve = Lookups(MOST)
resolve_called = Lookups(MOST_CALLS)
