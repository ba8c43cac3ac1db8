"""How messages travel over a socket: two lengths (uint32, big-endian), a head of JSON and a body
of raw bytes. Nothing is ever unpickled."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import TYPE_CHECKING, Any

from service.sandbox.messages import Broken

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LENGTHS = struct.Struct(">II")
_MOST_HEAD = 64 * 2**10


class Channel:
    """The parent's end of a socket. Holds no more of what comes than it was asked for.

    Every method raises ``OSError`` or ``EOFError`` where the other end is gone.
    """

    def __init__(self, end: socket.socket) -> None:
        end.setblocking(False)
        self._end, self._loop = end, asyncio.get_running_loop()

    async def head(self) -> tuple[bytes, int]:
        """A message's head and the length of its body, which is still to be received. Raises
        ``Broken`` for a head that is too long."""
        head, body = _LENGTHS.unpack(await self.body(_LENGTHS.size))
        if head > _MOST_HEAD:
            raise Broken("a head too long")
        return bytes(await self.body(head)), body

    async def body(self, size: int) -> bytearray:
        """This many bytes."""
        data = bytearray(size)
        missing = memoryview(data)
        while missing:
            got = await self._loop.sock_recv_into(self._end, missing)
            if not got:
                raise EOFError
            missing = missing[got:]
        return data

    async def send(self, head: bytes, body: bytes = b"") -> None:
        """A message."""
        await self._loop.sock_sendall(self._end, _LENGTHS.pack(len(head), len(body)) + head)
        await self._loop.sock_sendall(self._end, body)

    def close(self) -> None:
        """Let the socket go."""
        self._end.close()


class PlainChannel:
    """The end of a nursery or a child, which wait for the parent and trust it."""

    def __init__(self, end: socket.socket) -> None:
        end.setblocking(True)
        self._end = end

    def receive(self) -> tuple[bytes, bytes]:
        """Head and body of a message. Raises ``EOFError``."""
        head, body = _LENGTHS.unpack(self._exactly(_LENGTHS.size))
        return self._exactly(head), self._exactly(body)

    def send(self, head: str, *body: NDArray[Any] | memoryview) -> None:
        """A message; arrays must be contiguous."""
        encoded = head.encode()
        size = sum(part.nbytes for part in body)
        self._end.sendall(_LENGTHS.pack(len(encoded), size) + encoded)
        for part in body:
            # Who has a whole message may be gone already: nothing is sent to say nothing.
            if part.nbytes:
                self._end.sendall(part if isinstance(part, memoryview) else part.data)

    def _exactly(self, size: int) -> bytes:
        data = bytearray(size)
        missing = memoryview(data)
        while missing:
            got = self._end.recv_into(missing)
            if not got:
                raise EOFError
            missing = missing[got:]
        return bytes(data)
