"""The video in a request's body."""

from __future__ import annotations

import time
from contextlib import AbstractAsyncContextManager, aclosing, nullcontext
from typing import Any

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from service.admission import Place
from service.api.accept import JSON
from service.errors import MalformedRequest, UnsupportedMediaType
from service.settings import Limits
from service.sources.remote import Fetcher
from service.sources.source import Source
from service.sources.upload import Receiver
from service.sources.url import LONGEST

_OCTETS = "application/octet-stream"
_LINK_BYTES = 64 * 2**10
"""Of JSON, in which every character of a URL may be escaped."""

_BYTES = {"type": "string", "format": "binary", "minLength": 1}

_VIDEO: dict[str, Any] = {
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
}
_LINK = {"application/json": {"schema": {"$ref": "#/components/schemas/Link"}}}


def schema(*, links: bool) -> dict[str, Any]:
    """The body in words of OpenAPI; ``links`` is whether videos are taken by URL."""
    said = "The video: the one part `file` of a form, or the bytes themselves"
    return {
        "required": True,
        "description": f"{said}, or a link." if links else f"{said}.",
        "content": _VIDEO | _LINK if links else _VIDEO,
    }


class Link(BaseModel):
    """Where the video is."""

    model_config = ConfigDict(extra="forbid", strict=True)

    url: str = Field(
        min_length=1,
        max_length=LONGEST,
        description="http or https, without credentials, on an allowed port of a public host",
        examples=["https://example.org/video.mp4"],
    )


class Body:
    """A body that has not been read yet, whose headers allow to read it: a video, or where there is
    a ``fetcher``, a link to one.

    Raises what ``Receiver`` raises at its making.
    """

    def __init__(self, request: Request, limit: int, fetcher: Fetcher | None) -> None:
        try:
            self._judge(request, limit, fetcher)
        except UnsupportedMediaType as error:
            error.accept = ", ".join(schema(links=fetcher is not None)["content"])
            raise

    def _judge(self, request: Request, limit: int, fetcher: Fetcher | None) -> None:
        headers = request.headers
        if headers.get("content-encoding", "identity").lower() != "identity":
            raise UnsupportedMediaType("A body with a Content-Encoding is not read.")
        length = headers.get("content-length")
        chunked = "transfer-encoding" in headers
        size = int(length) if length and not chunked else 0
        kind = headers.get("content-type", "")
        is_link = kind.split(";")[0].strip().lower() == JSON
        self._request = request
        self._fetcher = fetcher if is_link else None
        self.announced = 0 if self._fetcher else size
        """Bytes of media that will come; 0 where that is not known."""
        self._receiver = Receiver(
            content_type=_OCTETS if self._fetcher else kind,
            content_length=None if chunked else size,
            limit=_LINK_BYTES if self._fetcher else limit,
        )

    async def read(
        self, place: Place, limits: Limits
    ) -> tuple[AbstractAsyncContextManager[Source], float]:
        """The media, still to be opened, and the seconds the body took to arrive; ``place`` holds
        their bytes.

        Raises what ``Receiver.read`` raises, ``MalformedRequest`` and ``UrlBlocked``.
        """
        started = time.perf_counter()
        async with aclosing(self._request.stream()) as chunks:
            body = await self._receiver.read(
                chunks,
                seconds=limits.upload_seconds,
                idle_seconds=limits.idle_seconds,
                rate=limits.upload_rate,
                arrived=_nothing if self._fetcher else place.arrive,
            )
        seconds = time.perf_counter() - started
        if self._fetcher is not None:
            url = self._fetcher.checked(_linked(await body.read(0, body.size)))
            return self._fetcher.open(url, place.arrive), seconds
        place.settle(body.size)
        return nullcontext(body), seconds


def _nothing(size: int) -> None:
    """The bytes of a link are no media."""


def _linked(data: bytes) -> str:
    try:
        return Link.model_validate_json(data).url
    except ValidationError:
        raise MalformedRequest(
            f"Send a JSON object with one member, 'url', a string of at most {LONGEST} characters."
        ) from None
