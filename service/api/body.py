"""The video in a request's body."""

from __future__ import annotations

import time
from contextlib import aclosing
from typing import Any

from fastapi import Request

from service.admission import Place
from service.engine import Media
from service.errors import UnsupportedMediaType
from service.settings import Limits
from service.sources.upload import Receiver

_BYTES = {"type": "string", "format": "binary", "minLength": 1}

SCHEMA: dict[str, Any] = {
    "required": True,
    "description": "The video: the one part `file` of a form, or the bytes themselves.",
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["file"],
                "properties": {"file": _BYTES},
                "additionalProperties": False,
            }
        },
        "video/*": {"schema": _BYTES},
        "application/octet-stream": {"schema": _BYTES},
    },
}
"""In words of OpenAPI."""


class Body:
    """A body that has not been read yet, whose headers allow to read it.

    Raises what ``Receiver`` raises at its making.
    """

    def __init__(self, request: Request, limit: int) -> None:
        headers = request.headers
        if headers.get("content-encoding", "identity").lower() != "identity":
            raise UnsupportedMediaType("A body with a Content-Encoding is not read.")
        length = headers.get("content-length")
        chunked = "transfer-encoding" in headers
        self._request = request
        self.announced = int(length) if length and not chunked else 0
        """Bytes that will come; 0 where that is not known."""
        self._receiver = Receiver(
            content_type=headers.get("content-type", ""),
            content_length=None if chunked else self.announced,
            limit=limit,
        )

    async def read(self, place: Place, limits: Limits) -> tuple[Media, float]:
        """The media, and the seconds they took to arrive; ``place`` holds their bytes."""
        started = time.perf_counter()
        async with aclosing(self._request.stream()) as chunks:
            upload = await self._receiver.read(
                chunks,
                seconds=limits.upload_seconds,
                idle_seconds=limits.idle_seconds,
                rate=limits.upload_rate,
                arrived=place.arrive,
            )
        place.settle(len(upload.data))
        return Media(upload.data, upload.sha256), time.perf_counter() - started
