"""Names to addresses, by the system's resolver.

It cannot be interrupted: while a name server keeps silent, a look-up goes on for as long as the
system likes, whoever still waits for it. So each has a daemon thread of its own, which unlike those
of a pool does not keep the process from ending, and there are never more than ``MOST``.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import suppress

MOST = 64
"""Look-ups at the same time, those included that nobody waits for any more."""

_free = threading.BoundedSemaphore(MOST)


async def resolve(host: str, port: int) -> list[str]:
    """All addresses of a name, best first. Raises ``OSError``, and where too many other names are
    being looked up, ``TimeoutError``, which is one."""
    if not _free.acquire(blocking=False):
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
            _free.release()
        # Once the loop is closed nobody is left to be told.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(tell, addresses, failure)

    threading.Thread(target=look_up, name="resolver", daemon=True).start()
    return await found
