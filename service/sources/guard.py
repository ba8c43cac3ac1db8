"""The one place that opens sockets outward, and only to the public internet.

A name is resolved once for each connection; unless every address it has is public, nothing is
connected to; else the connection goes to one of the very addresses that were looked at. Whoever
answers names differently a moment later (DNS rebinding) has no say any more.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence

import httpcore2
from httpcore2 import AnyIOBackend

from service.settings import FetchSettings
from service.sources.addresses import Address, public
from service.sources.names import resolve
from service.sources.url import Url, blocked

# It writes URLs and addresses.
logging.getLogger("httpcore2").setLevel(logging.CRITICAL)

_TRIED = 4
"""Addresses of a name that are connected to, one after another."""

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]


class Guard(httpcore2.AsyncNetworkBackend):
    """Connects where the settings and ``public`` allow it."""

    def __init__(self, settings: FetchSettings, resolve: Resolve = resolve) -> None:
        self._settings, self._resolve = settings, resolve
        self._backend = AnyIOBackend()

    def check(self, url: Url) -> None:
        """Raise ``UrlBlocked`` for what can be refused before any name is looked up."""
        settings = self._settings
        if url.port not in settings.ports:
            raise blocked()
        if _among(url.host, settings.deny_hosts):
            raise blocked()
        if settings.allow_hosts and not _among(url.host, settings.allow_hosts):
            raise blocked()
        if url.address is not None and not self._allowed(url.address):
            raise blocked()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Connect to a host by name or address.

        Raises ``UrlBlocked`` where one of its addresses may not be connected to or it has none,
        and what the pool knows as errors of connecting.
        """
        async with asyncio.timeout(timeout):
            addresses = await self._addresses(host, port)
        for number, address in enumerate(addresses, 1):
            try:
                return await self._backend.connect_tcp(
                    str(address), port, timeout, local_address, socket_options
                )
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout):
                if number == len(addresses):
                    raise
        raise blocked()

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Never."""
        raise blocked()

    async def sleep(self, seconds: float) -> None:
        """Between tries of the pool."""
        await asyncio.sleep(seconds)

    async def _addresses(self, host: str, port: int) -> list[Address]:
        """The first of a name, once all have been looked at."""
        try:
            addresses = [ipaddress.ip_address(each) for each in await self._resolve(host, port)]
        except TimeoutError:
            # That many names are looked up says nothing of where this one leads.
            raise
        except (OSError, UnicodeError, ValueError):
            raise blocked() from None
        if not all(map(self._allowed, addresses)):
            raise blocked()
        return addresses[:_TRIED]

    def _allowed(self, address: Address) -> bool:
        return public(address) or (self._settings.loopback and address == _LOOPBACK)


_LOOPBACK = ipaddress.IPv4Address("127.0.0.1")


def _among(host: str, names: Iterable[str]) -> bool:
    """Whether a host is one of these or below one."""
    return any(host == name or host.endswith("." + name) for name in names)
