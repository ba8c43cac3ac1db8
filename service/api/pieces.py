"""Large answers, sent as their clients read them.

A transport copies what the kernel does not take at once, so a report handed over whole would be in
memory once for each client that is slow to read it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from service.api.accept import JSON

_SIZE = 64 * 2**10


def sliced(*parts: bytes) -> Iterator[bytes]:
    """The same bytes in small pieces."""
    for part in parts:
        for start in range(0, len(part), _SIZE):
            yield part[start : start + _SIZE]


class Pieces(Response):
    """JSON that consists of parts, none of which is copied whole."""

    def __init__(
        self, *parts: bytes, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(status_code=status, headers=headers, media_type=JSON)
        self.headers["content-length"] = str(sum(map(len, parts)))
        self._parts = parts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        head = {"status": self.status_code, "headers": self.raw_headers}
        await send({"type": "http.response.start", **head})
        for piece in sliced(*self._parts):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
