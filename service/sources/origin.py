"""HTTP requests to an origin that may be hostile: guarded, bounded, never trusted."""

from __future__ import annotations

import asyncio
import re
import ssl
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import httpcore2

from service import __version__
from service.errors import OriginFailed, OriginSlow
from service.settings import FetchSettings
from service.sources.guard import Guard
from service.sources.meter import Meter
from service.sources.url import Url, blocked

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,15})-([0-9]{1,15})/([0-9]{1,15})")
_LENGTH = re.compile(r"[0-9]{1,15}")
_CONNECTIONS = 2
_CONNECT_SECONDS = 10.0
_CHUNKS, _CHUNK_BYTES = 1000, 64
"""A body may come in so many chunks, and one more for every so many bytes of it."""
_MANNERS = frozenset({"Accept", "Accept-Language", "Origin", "Referer", "User-Agent"})
"""Headers that say nothing of who asks."""


@dataclass(frozen=True, slots=True)
class Span:
    """``Content-Range``: the bytes from ``first`` to ``last``, of ``size`` in all."""

    first: int
    last: int
    size: int


class Answer:
    """The head of a response and the way to its body. ``url`` is where redirects led to."""

    def __init__(self, url: Url, response: httpcore2.Response, origin: Origin) -> None:
        self.url, self.status = url, response.status
        self._response, self._origin = response, origin

    def header(self, name: str) -> str | None:
        """The value of a header that may stand once, None where it does not stand. Raises
        ``OriginFailed`` where it stands twice, each time with another value."""
        wanted = name.lower().encode()
        values = {value for key, value in self._response.headers if key.lower() == wanted}
        if len(values) > 1:
            raise OriginFailed("The origin contradicts itself in the head of its answer.")
        return values.pop().decode("latin-1").strip() if values else None

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """All headers, as they stand."""
        return [(k.decode("latin-1"), v.decode("latin-1")) for k, v in self._response.headers]

    @property
    def kind(self) -> str:
        """The media type, lower case, without parameters; empty where there is none."""
        return (self.header("content-type") or "").split(";")[0].strip().lower()

    @property
    def length(self) -> int | None:
        """Bytes of the body, where that is told."""
        value = self.header("content-length") or ""
        return int(value) if _LENGTH.fullmatch(value) else None

    @property
    def span(self) -> Span | None:
        """Which part of the whole the body is, where that is told wholly."""
        match = _CONTENT_RANGE.fullmatch(self.header("content-range") or "")
        return Span(*(int(number) for number in match.groups())) if match else None

    @property
    def validator(self) -> str | None:
        """What changes when the media do: a strong entity tag, else the time of change."""
        tag = self.header("etag")
        return tag if tag and not tag.startswith("W/") else self.header("last-modified")

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """The body as it comes, undecoded. Raises ``OriginFailed`` and ``OriginSlow``."""
        chunks = self._response.aiter_stream()
        count = size = 0
        try:
            while True:
                async with self._origin.waiting():
                    chunk = await anext(chunks, None)
                if chunk is None:
                    return
                self._origin.fetched += len(chunk)
                count, size = count + 1, size + len(chunk)
                if count > _CHUNKS + size // _CHUNK_BYTES:
                    raise OriginFailed("The origin sends the media in crumbs.")
                # Those that have arrived already come without a turn of anybody else.
                await asyncio.sleep(0)
                yield chunk
        finally:
            await chunks.aclose()

    async def body(self, most: int) -> bytes:
        """The whole body. Raises ``OriginFailed`` also where it is longer than ``most`` bytes."""
        data = bytearray()
        async for chunk in self.chunks():
            data += chunk
            if len(data) > most:
                raise OriginFailed("The origin sends more than it was asked for.")
        return bytes(data)


class Origin:
    """A context for the requests of one fetch; ``fetched`` counts the bytes of all bodies,
    ``waited`` the seconds in which origins were waited for.

    ``settings.seconds`` bound the latter, all requests together.
    """

    def __init__(self, settings: FetchSettings, guard: Guard, tls: ssl.SSLContext) -> None:
        self._settings, self._guard = settings, guard
        self.waited = 0.0
        self.fetched = 0
        self._manners: dict[str, str] = {}
        self._tokens: dict[str, str] = {}
        self._home: tuple[str, str, int] | None = None
        self._meter = Meter(guard)
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=tls,
            max_connections=_CONNECTIONS,
            network_backend=self._meter,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._pool.aclose()

    def introduce(self, headers: Mapping[str, str], url: Url) -> None:
        """Send these headers with the requests of ``get`` from now on: what tells who asks, like
        cookies and tokens, where scheme, host and port are those of ``url``, the rest always."""
        named = {name.title(): value for name, value in headers.items()}
        self._manners = {name: value for name, value in named.items() if name in _MANNERS}
        self._tokens = {name: value for name, value in named.items() if name not in _MANNERS}
        self._home = url.origin

    @asynccontextmanager
    async def get(
        self, url: Url, headers: Mapping[str, str] | None = None
    ) -> AsyncIterator[Answer]:
        """The answer of where ``url`` and its redirects lead, each of them looked at anew.

        Raises ``UrlBlocked``, ``OriginFailed`` and ``OriginSlow``.
        """
        for _ in range(self._settings.redirects + 1):
            tokens = self._tokens if url.origin == self._home else {}
            sent = {**self._manners, **tokens, **(headers or {})}
            async with self.ask("GET", url, sent) as answer:
                location = answer.header("location")
                if answer.status not in _REDIRECTS or location is None:
                    yield answer
                    return
            url = url.join(location)
        raise OriginFailed("The origin redirects too often.")

    async def post(self, url: Url, body: bytes, headers: Mapping[str, str]) -> int:
        """The status of the answer, whose body is not read; no redirect is followed. Raises as
        ``get`` does."""
        async with self.ask("POST", url, headers, body) as answer:
            return answer.status

    @asynccontextmanager
    async def ask(
        self, method: str, url: Url, headers: Mapping[str, str], body: bytes | None = None
    ) -> AsyncIterator[Answer]:
        """The answer to one request, whatever it is; no redirect is followed. Raises as ``get``
        does."""
        self._guard.check(url)
        own = self._headers(url)
        if body is not None:
            own["Content-Length"] = str(len(body))
        idle = self._settings.idle_seconds
        request = httpcore2.Request(
            method=method,
            url=httpcore2.URL(
                scheme=url.scheme, host=url.host, port=url.port, target=url.target.encode()
            ),
            headers=list((own | {n.title(): text for n, text in headers.items()}).items()),
            content=body,
            extensions={
                "timeout": {
                    "connect": min(idle, _CONNECT_SECONDS),
                    "read": idle,
                    "write": idle,
                    "pool": idle,
                }
            },
        )
        async with self.waiting():
            with self._meter.head():
                response = await self._pool.handle_async_request(request)
        try:
            yield Answer(url, response, self)
        finally:
            await response.aclose()

    @staticmethod
    def _headers(url: Url) -> dict[str, str]:
        return {
            "Host": url.authority,
            "Accept": "*/*",
            "Accept-Encoding": "identity",
            "User-Agent": f"clrnet-deepfake/{__version__}",
        }

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[None]:
        """Around work that itself asks origins: all of it counts as waiting for them, what they
        take counts once. Raises ``OriginSlow``."""
        since, before = time.monotonic(), self.waited
        try:
            async with asyncio.timeout(max(0.0, self._settings.seconds - before)):
                yield
        except TimeoutError:
            raise _slow() from None
        finally:
            self.waited = before + time.monotonic() - since

    @asynccontextmanager
    async def waiting(self) -> AsyncIterator[None]:
        """Around everything that the origin can delay. Raises ``OriginSlow`` and
        ``OriginFailed``."""
        since = time.monotonic()
        try:
            async with asyncio.timeout(max(0.0, self._settings.seconds - self.waited)):
                yield
        except (TimeoutError, httpcore2.TimeoutException):
            raise _slow() from None
        except httpcore2.LocalProtocolError:
            raise blocked() from None
        except (httpcore2.NetworkError, httpcore2.ProtocolError):
            raise OriginFailed("The origin cannot be reached or breaks off.") from None
        finally:
            self.waited += time.monotonic() - since


def _slow() -> OriginSlow:
    return OriginSlow("The origin did not answer, or did not send the media, in time.")
