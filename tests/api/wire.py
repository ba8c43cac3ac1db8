"""The app behind a real uvicorn on loopback, in a thread of the test."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from service.engine import Engine
from service.server import Server
from service.settings import Settings

POST = b"POST /v1/detections HTTP/1.1\r\nHost: x\r\nContent-Type: application/octet-stream\r\n"
MEGABYTE = b"x" * 2**20


@contextmanager
def served(settings: Settings, engine: Engine) -> Iterator[int]:
    """The port on which the app answers."""
    server = Server(settings, engine, "127.0.0.1", 0)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        deadline = time.monotonic() + 10
        while not server.started:
            assert thread.is_alive()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(10)


@contextmanager
def connected(port: int) -> Iterator[socket.socket]:
    """A connection that speaks whatever the test writes."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        yield connection


def read_all(connection: socket.socket) -> bytes:
    """Everything until the server closes; a reset raises."""
    pieces = []
    while piece := connection.recv(65536):
        pieces.append(piece)
    return b"".join(pieces)


def code(answer: bytes) -> str:
    """The problem's code in a whole HTTP answer."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head
    return str(json.loads(body)["code"])


def eventually(holds: Callable[[], bool]) -> bool:
    """Whether it does so within seconds."""
    deadline = time.monotonic() + 5
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.02)
    return holds()
