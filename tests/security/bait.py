"""A file and a port that hostile media are pointed at: whoever opens them is seen."""

from __future__ import annotations

import asyncio
import ctypes
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests import media


@dataclass
class Canary:
    """Listens for TCP and UDP on one port; ``calls`` counts who came."""

    port: int
    datagrams: socket.socket
    calls: list[str] = field(default_factory=list)

    async def sang(self) -> bool:
        """Whether anybody came."""
        await asyncio.sleep(0.05)
        with suppress(BlockingIOError):
            self.calls.append(repr(self.datagrams.recv(100)))
        return bool(self.calls)


@asynccontextmanager
async def canary_at_a_port() -> AsyncIterator[Canary]:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        canary.calls.append("tcp")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        datagrams.setblocking(False)
        datagrams.bind(("127.0.0.1", port))
        canary = Canary(port, datagrams)
        async with server:
            yield canary


class Planted:
    """A real video that nobody may open; times of access say nothing where a disk keeps none."""

    _IN_OPEN = 0x20

    def __init__(self, path: Path) -> None:
        self.path = path
        path.write_bytes(media.numbered_video(5))
        libc = ctypes.CDLL(None)
        self._watch = libc.inotify_init1(os.O_NONBLOCK)
        assert libc.inotify_add_watch(self._watch, bytes(path), self._IN_OPEN) >= 0

    def opened(self) -> bool:
        """Whether somebody has since it was planted."""
        with suppress(BlockingIOError):
            return bool(os.read(self._watch, 4096))
        return False

    def close(self) -> None:
        os.close(self._watch)
