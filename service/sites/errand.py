"""The requests that reading a page takes, sent for a process that cannot send any."""

from __future__ import annotations

from contextlib import aclosing

from service.errors import OriginFailed, OriginSlow, UrlBlocked
from service.sites import headers
from service.sites.messages import Denied, Given, Wanted
from service.sources.origin import Answer, Origin
from service.sources.url import parse

REQUESTS = 30
ANSWER_BYTES = 8 * 2**20
"""Of one answer."""
ALL_BYTES = 24 * 2**20
"""Of all answers."""
_MEDIA_BYTES = 4096
"""Of an answer that is media: enough to see what it is."""


class Errand:
    """Sends the requests of one page by way of an origin, which guards and counts them."""

    def __init__(self, origin: Origin) -> None:
        self._origin = origin
        self._requests, self._left = REQUESTS, ALL_BYTES
        self.refusal: UrlBlocked | OriginFailed | OriginSlow | None = None
        """Why the last request had no answer; None where it had one."""

    async def send(self, wanted: Wanted, body: bytes) -> tuple[Given | Denied, bytes]:
        """The answer. Raises ``OriginFailed`` where there have been too many or too long ones."""
        self._requests -= 1
        if self._requests < 0:
            raise self._excess("requests")
        kept = {name: text for name, text in wanted.headers.items() if headers.of_request(name)}
        try:
            async with self._origin.ask(
                wanted.method, parse(wanted.url), kept, body or None
            ) as answer:
                given = Given(status=answer.status, headers=headers.of_answer(answer.pairs))
                data = await self._data(answer)
        except (UrlBlocked, OriginFailed, OriginSlow) as error:
            self.refusal = error
            return Denied(), b""
        if data is None:
            raise self._excess("bytes")
        self.refusal = None
        self._left -= len(data)
        return given, data

    async def _data(self, answer: Answer) -> bytes | None:
        """None where it is too long."""
        most = min(ANSWER_BYTES, self._left)
        data = bytearray()
        async with aclosing(answer.chunks()) as chunks:
            async for chunk in chunks:
                data += chunk
                if len(data) > most:
                    return None
                if len(data) >= _MEDIA_BYTES and _is_media(answer, data):
                    return bytes(data[:_MEDIA_BYTES])
        return bytes(data)

    def _excess(self, what: str) -> OriginFailed:
        self.refusal = error = OriginFailed(
            f"Reading the page takes more {what} than any may take."
        )
        return error


def _is_media(answer: Answer, data: bytearray) -> bool:
    # Playlists go by the same types.
    binary = data.find(0, 0, _MEDIA_BYTES) >= 0
    return binary and answer.kind.startswith(("video/", "audio/", "application/"))
