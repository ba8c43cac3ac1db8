"""Connections with which no origin keeps the event loop to itself.

What has arrived already is handed over without anybody else's turn coming; and what an origin sends
before its answer begins (``100 Continue``, hints) has no bound of its own in HTTP.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import httpcore2

HEAD_BYTES = 2**18
"""Read until an answer begins; a head may have 100 KiB, and some of the body comes with it."""

_READ = 2**14
"""Bytes taken at once until then: hundreds of the shortest heads."""


class Meter(httpcore2.AsyncNetworkBackend):
    """Connects as another backend does, for one request at a time."""

    def __init__(self, backend: httpcore2.AsyncNetworkBackend) -> None:
        self._backend = backend
        self._left: int | None = None

    @contextmanager
    def head(self) -> Iterator[None]:
        """Around the wait for an answer to begin. Then reading raises
        ``httpcore2.RemoteProtocolError`` past ``HEAD_BYTES``."""
        self._left = HEAD_BYTES
        try:
            yield
        finally:
            self._left = None

    async def read(
        self, stream: httpcore2.AsyncNetworkStream, most: int, wait: float | None
    ) -> bytes:
        """What comes next, after everybody else has had a turn."""
        await asyncio.sleep(0)
        if self._left is None:
            return await stream.read(most, wait)
        data = await stream.read(min(most, _READ), wait)
        self._left -= len(data)
        if self._left < 0:
            raise httpcore2.RemoteProtocolError("no answer begins")
        return data

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """See the backend."""
        return _Stream(
            self,
            await self._backend.connect_tcp(host, port, timeout, local_address, socket_options),
        )

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """See the backend."""
        return await self._backend.connect_unix_socket(path, timeout, socket_options)

    async def sleep(self, seconds: float) -> None:
        """See the backend."""
        await self._backend.sleep(seconds)


class _Stream(httpcore2.AsyncNetworkStream):
    def __init__(self, meter: Meter, stream: httpcore2.AsyncNetworkStream) -> None:
        self._meter, self._stream = meter, stream

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        return await self._meter.read(self._stream, max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> httpcore2.AsyncNetworkStream:
        return _Stream(
            self._meter, await self._stream.start_tls(ssl_context, server_hostname, timeout)
        )

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
