"""An origin that sends the very bytes it was given, whatever they are."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from tests.origin.site import HOST


@asynccontextmanager
async def raw_origin(answers: Mapping[str, bytes]) -> AsyncIterator[str]:
    """Its URL, without a path. ``answers`` are whole responses by path, or by path and ``Range`` as
    in ``/a bytes=0-4``; the connection is closed after each."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            path = head.split(" ")[1]
            lines = (line.partition(": ") for line in head.split("\r\n"))
            span = next((value for name, _, value in lines if name.lower() == "range"), "")
            writer.write(answers.get(f"{path} {span}", answers.get(path, b"")))
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, HOST, 0)
    try:
        yield f"http://{HOST}:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        await server.wait_closed()


def response(status: int, body: bytes, **headers: object) -> bytes:
    """One whose body ends with the connection, unless a header says otherwise."""
    lines = [f"HTTP/1.1 {status} Reason", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body
