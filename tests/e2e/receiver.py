"""Who is called at the end of a job: a small web server that notes every call."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

HOST = "127.0.0.1"


@dataclass
class Call:
    """One request. ``time`` is that of the monotonic clock."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    time: float


@dataclass
class Receiver:
    """``answers`` are the statuses that a path gives one after another, the last of them for ever;
    204 where there are none. 0 is silence until the end."""

    port: int
    calls: list[Call] = field(default_factory=list)
    answers: dict[str, Sequence[int]] = field(default_factory=dict)
    ended: threading.Event = field(default_factory=threading.Event)

    def url(self, path: str) -> str:
        return f"http://{HOST}:{self.port}{path}"

    def of(self, path: str) -> list[Call]:
        """The calls of one path so far."""
        return [call for call in self.calls if call.path == path]

    def wait(self, path: str, count: int = 1, seconds: float = 30.0) -> list[Call]:
        """So many calls of a path, or an error after this time."""
        deadline = time.monotonic() + seconds
        while len(self.of(path)) < count:
            assert time.monotonic() < deadline, f"{len(self.of(path))} calls of {path}"
            time.sleep(0.02)
        return self.of(path)

    def answer(self, path: str) -> int:
        answers = self.answers.get(path, (204,))
        return answers[min(len(self.of(path)), len(answers)) - 1]


@contextmanager
def receiver(port: int = 0) -> Iterator[Receiver]:
    """One that listens until the end of the block."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            found.calls.append(
                Call(self.command, self.path, headers, self.rfile.read(length), time.monotonic())
            )
            status = found.answer(self.path)
            if not status:
                found.ended.wait(60)
                return
            self.send_response(status)
            if status in (301, 302, 307, 308):
                self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_POST  # noqa: N815

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer((HOST, port), Handler)
    found = Receiver(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield found
    finally:
        found.ended.set()
        server.shutdown()
        server.server_close()
        thread.join()
