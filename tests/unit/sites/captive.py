"""The process that reads pages, with a reader that tries what hostile code would.

    python -m tests.unit.sites.captive    as ``service.sites.worker`` is started

What it tries is the page's URL; how that went is told by a request, the one thing it can do.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import struct
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from service.sites import library, worker
from service.sites.messages import Found, Lost, Wanted

EARLY = "Early"
"""Among the sites: it asks before it is confined."""

LISTENING = "Listening"
"""Among the sites: it waits for the page before it is confined."""

CANARY = Path("/tmp/pages-canary")


def _written() -> None:
    with open(CANARY, "w") as file:
        file.write("x")


def _spun() -> None:
    while True:
        pass


def _found(site: str) -> Found:
    return Found(
        url="http://a.example/v.mp4",
        headers={"Host": "b.example", "Proxy-A": "x", "Connection": "close", "Referer": "r"},
        site=site,
        height=None,
        renditions=0,
        several=False,
    )


ATTEMPTS: dict[str, Callable[[], object]] = {
    "socket": lambda: socket.create_connection(("127.0.0.1", 9)),
    "unix socket": socket.socketpair,
    "name": lambda: socket.getaddrinfo("a.example", 80),
    "read": lambda: Path("/etc/hostname").read_text(),
    "write": _written,
    "program": lambda: subprocess.run(["/bin/true"], check=True),
    "fork": os.fork,
    "import": lambda: __import__("smtplib"),
    "signal": lambda: os.kill(os.getppid(), 0),
    "memory": lambda: bytearray(2**30),
    "environment": lambda: _told(sorted(os.environ)),
    "descriptors": lambda: _told([n for n in range(3, 64) if _open(n)]),
}

_WORD = b'{"kind":"ready","layers":[]}'
_READY = struct.pack(">II", len(_WORD), 0) + _WORD

DEEDS: dict[str, Callable[[], object]] = {
    "crash": lambda: os.abort(),
    "spin": _spun,
    "wait": lambda: time.sleep(3600),
    "babble": lambda: os.write(0, b"\0\0\0\5\0\0\0\0hello"),
    "ready again": lambda: os.write(0, _READY),
    "long head": lambda: os.write(0, b"\xff\xff\xff\xff\0\0\0\0"),
    "long body": lambda: os.write(0, b"\0\0\0\x10\x7f\xff\xff\xff" + b"{}".ljust(16)),
    "hang up": lambda: socket.socket(fileno=0).shutdown(socket.SHUT_RDWR),
}


class Told(Exception):
    """What was found out."""


def _told(what: object) -> None:
    raise Told(str(what))


def _open(number: int) -> bool:
    try:
        os.lseek(number, 0, os.SEEK_CUR)
    except OSError as error:
        return error.errno != errno.EBADF
    return True


class Hostile(library.Library):
    """Takes the URL for what to do."""

    def __init__(self, sites: Any, ask: Any) -> None:
        super().__init__(sites, ask)
        self._ask = ask
        if EARLY in sites:
            ask(Wanted(method="GET", url="http://a.example/", headers={}), b"")
        if LISTENING in sites:
            select.select([0], [], [], 1.0)
            if select.select([0], [], [], 0)[0]:
                os.abort()

    def find(self, pages: Any) -> Found | Lost:
        deed = pages[0]
        if deed == "all":
            for name, attempt in ATTEMPTS.items():
                try:
                    attempt()
                    outcome = "done"
                except Told as told:
                    outcome = str(told)
                except BaseException as error:
                    outcome = type(error).__name__
                headers = {"X-Name": name, "X-Outcome": outcome}
                self._ask(Wanted(method="GET", url="http://a.example/", headers=headers), b"")
            return Lost(reason="failed")
        if deed == "another site":
            return _found("Vimeo")
        if deed == "improper headers":
            return _found("Reddit")
        DEEDS[deed]()
        time.sleep(3600)
        return Lost(reason="failed")


if __name__ == "__main__":
    # The limit would end it later than a test waits.
    worker.CPU_SECONDS = 2.0
    library.Library = Hostile  # type: ignore[misc]
    worker.main()
