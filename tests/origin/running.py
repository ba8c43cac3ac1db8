"""The test site as tests use it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

from tests.origin.site import HOST


class RunningSite:
    """A site in its own process; ``port`` on loopback."""

    def __init__(self, port: int) -> None:
        self.port = port

    def url(self, behaviour: str, name: str = "video") -> str:
        return f"http://{HOST}:{self.port}/{behaviour}/{name}"

    def put(self, data: bytes, name: str = "video") -> None:
        self._ask("PUT", f"/{name}", data)

    def log(self) -> list[dict[str, object]]:
        """The requests so far: target, headers, bytes of body sent."""
        found: list[dict[str, object]] = json.loads(self._ask("GET", "/log"))["requests"]
        return found

    def sent(self) -> int:
        """Bytes of all bodies so far."""
        return sum(int(str(each["sent"])) for each in self.log())

    def _ask(self, method: str, target: str, body: bytes | None = None) -> bytes:
        connection = HTTPConnection(HOST, self.port, timeout=30)
        try:
            connection.request(method, target, body)
            return connection.getresponse().read()
        finally:
            connection.close()


@contextmanager
def running_site() -> Iterator[RunningSite]:
    """A new site, ended with the context."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.origin.site"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield RunningSite(int(process.stdout.readline()))
    finally:
        process.stdin.close()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
