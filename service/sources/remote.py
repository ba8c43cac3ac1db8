"""Media behind a URL: read part by part where the origin serves parts, else into memory."""

from __future__ import annotations

import hashlib
import io
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import httpcore2

from service.errors import OriginFailed, PageUrl, TooLarge
from service.settings import FetchSettings
from service.sites.errand import Errand
from service.sites.messages import Found
from service.sites.reader import NoSite, PageReader
from service.sources import dash, hls
from service.sources.guard import Guard, Resolve
from service.sources.names import resolve
from service.sources.origin import Answer, Origin
from service.sources.pieces import Arrived, join
from service.sources.source import Memory, Source
from service.sources.url import Url, parse

BLOCK = 2**20
"""Bytes that are asked of an origin at once."""

_HEAD = 4096
"""Bytes by which playlists and pages are told from videos."""

_RECENT = 16
"""Blocks kept of media that are larger than what may be held."""

_TRIES = 2
"""Of each block: connections that were idle for long may be gone."""


class _Page(PageUrl):
    """At ``url`` there is a page."""

    def __init__(self, url: Url) -> None:
        super().__init__(
            "The URL leads to a page, not to a video, and this service reads no pages: its extra "
            "'sites' is not installed, or switched off."
        )
        self.url = url


class _Refused(OriginFailed):
    """What is at ``url`` is not given out, at least not to who does not know the site."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(f"The origin answers with status {answer.status}.")
        self.url = answer.url
        self.final = answer.status not in range(400, 500) or answer.status in (404, 410, 416)
        """Whether knowing the site would not help."""


class Fetcher:
    """Opens URLs. Media of up to ``largest`` bytes are kept as they come, so that nothing is
    fetched twice."""

    def __init__(self, settings: FetchSettings, largest: int, resolve: Resolve = resolve) -> None:
        self._settings, self._largest = settings, largest
        self._guard = Guard(settings, resolve)
        self._pages = PageReader.of(settings)
        self._tls = httpcore2.default_ssl_context()

    def checked(self, text: str) -> Url:
        """A URL that may be asked for. Raises ``UrlBlocked``."""
        url = parse(text)
        self._guard.check(url)
        return url

    @asynccontextmanager
    async def open(self, url: Url, arrived: Arrived = lambda size: None) -> AsyncIterator[Source]:
        """The media that a URL leads to; ``arrived`` is told of every byte that is held from then
        on, and may raise.

        Raises ``UrlBlocked``, ``OriginFailed``, ``OriginSlow``, ``TooLarge``, ``OverLimits``,
        ``PageUrl``, and for pages ``TooSlow`` and ``WorkerLost``; the first three whenever it is
        read.
        """
        async with Origin(self._settings, self._guard, self._tls) as origin:
            yield await self._opened(origin, url, arrived)

    async def post(self, url: Url, body: bytes, headers: Mapping[str, str]) -> int:
        """Send something to a URL and give the status of the answer. Raises as ``open`` does."""
        async with Origin(self._settings, self._guard, self._tls) as origin:
            return await origin.post(url, body, headers)

    async def _opened(self, origin: Origin, url: Url, arrived: Arrived) -> Source:
        try:
            return await self._media(origin, url, arrived)
        except (_Page, _Refused) as error:
            if self._pages is None or (isinstance(error, _Refused) and error.final):
                raise
            found = await self._found(self._pages, origin, url, error)
        video = self.checked(found.url)
        origin.introduce(found.headers, video.host)
        try:
            source = await self._media(origin, video, arrived)
        except _Page:
            raise PageUrl("What the page gives for a video is a page again.") from None
        source.notes = (_told(found), *source.notes)
        return source

    async def _found(
        self, pages: PageReader, origin: Origin, url: Url, error: _Page | _Refused
    ) -> Found:
        """Where the video is of a page, or of what is refused and may be one."""
        known_by = list(dict.fromkeys(map(str, (url, error.url))))
        errand = Errand(origin)
        try:
            async with origin.reading():
                return await pages.find(known_by, errand.send)
        except NoSite as none:
            raise (error if isinstance(error, _Refused) else none) from None
        except OriginFailed as failed:
            raise (errand.refusal or failed) from None

    async def _media(self, origin: Origin, url: Url, arrived: Arrived) -> Memory | Remote:
        source, place = await self._file(origin, url, arrived)
        head = await source.read(0, _HEAD)
        if _is_page(head):
            raise _Page(place)
        if hls.is_playlist(head):
            text = await _text(source, hls.TEXT_BYTES)
            stream = await hls.stream(origin, place, text, self._largest)
        elif dash.is_manifest(head):
            text = await _text(source, dash.TEXT_BYTES)
            stream = await dash.stream(place, text, self._largest)
        else:
            return source
        if stream.single is not None:
            return (await self._file(origin, stream.single, arrived))[0]
        return await join(origin, stream, self._largest, arrived)

    async def _file(
        self, origin: Origin, url: Url, arrived: Arrived
    ) -> tuple[Memory | Remote, Url]:
        """What lies there, and where redirects led to."""
        async with origin.get(url, {"Range": f"bytes=0-{BLOCK - 1}"}) as answer:
            if answer.status == 206 and answer.span is not None:
                return await Remote.begin(origin, answer, self._largest, arrived), answer.url
            if answer.status == 200:
                return await self._whole(answer, origin, arrived), answer.url
            if answer.status != 206:
                raise _Refused(answer)
        # A part of a whole of unknown size is of no use.
        async with origin.get(url) as answer:
            if answer.status != 200:
                raise _Refused(answer)
            return await self._whole(answer, origin, arrived), answer.url

    async def _whole(self, answer: Answer, origin: Origin, arrived: Arrived) -> Memory:
        _require_identity(answer)
        if (answer.length or 0) > self._largest:
            raise self._too_large()
        # As for uploads: hands its memory over without a copy.
        data, digest = io.BytesIO(), hashlib.sha256()
        async for chunk in answer.chunks():
            if data.tell() + len(chunk) > self._largest:
                raise self._too_large()
            if data.tell() < _HEAD and _is_page(data.getvalue() + chunk[:_HEAD]):
                # It may have no end.
                raise _Page(answer.url)
            arrived(len(chunk))
            data.write(chunk)
            digest.update(chunk)
        if not data.tell():
            raise OriginFailed("The origin sends no byte.")
        return Memory(data.getvalue(), digest.hexdigest(), origin.waited)

    def _too_large(self) -> TooLarge:
        return TooLarge(
            f"The origin serves no parts, and the whole is over the limit of {self._largest} bytes."
        )


class Remote:
    """Media of which the origin gives any part; see ``Source``."""

    def __init__(
        self, origin: Origin, answer: Answer, size: int, largest: int, arrived: Arrived
    ) -> None:
        self.size = size
        self._origin, self._url = origin, answer.url
        self._validator = answer.validator
        self._headers = {"If-Range": self._validator} if self._validator else {}
        self._arrived = arrived
        self.notes: tuple[str, ...] = ()
        self._keep = -(-size // BLOCK) if size <= largest else _RECENT
        self._blocks: OrderedDict[int, bytes] = OrderedDict()

    @classmethod
    async def begin(cls, origin: Origin, answer: Answer, largest: int, arrived: Arrived) -> Remote:
        """Take the first part, which is about to come."""
        if answer.span is None or not answer.span.size:
            raise OriginFailed("The origin sends no byte.")
        remote = cls(origin, answer, answer.span.size, largest, arrived)
        remote._hold(0, await remote._part(answer, 0))
        return remote

    @property
    def fetched(self) -> int:
        """Bytes that the origin has sent."""
        return self._origin.fetched

    @property
    def waited(self) -> float:
        """Seconds in which the origin was waited for."""
        return self._origin.waited

    @property
    def sha256(self) -> str | None:
        """Lower-case hex of the whole media, once all of them are held."""
        if len(self._blocks) * BLOCK < self.size:
            return None
        digest = hashlib.sha256()
        for number in sorted(self._blocks):
            digest.update(self._blocks[number])
        return digest.hexdigest()

    async def hashed(self) -> str:
        """See ``Source``."""
        digest = hashlib.sha256()
        for offset in range(0, self.size, BLOCK):
            digest.update(await self.read(offset, BLOCK))
        return digest.hexdigest()

    async def read(self, offset: int, size: int) -> bytes:
        """See ``Source``."""
        parts = []
        end = min(offset + size, self.size)
        while offset < end:
            number, at = divmod(offset, BLOCK)
            part = (await self._block(number))[at : at + end - offset]
            parts.append(part)
            offset += len(part)
        return b"".join(parts)

    async def _block(self, number: int) -> bytes:
        if number not in self._blocks:
            self._hold(number, await self._fetch(number))
        self._blocks.move_to_end(number)
        return self._blocks[number]

    def _hold(self, number: int, block: bytes) -> None:
        if len(self._blocks) < self._keep:
            self._arrived(len(block))
        else:
            self._blocks.popitem(last=False)
        self._blocks[number] = block

    async def _fetch(self, number: int) -> bytes:
        first, last = self._bounds(number)
        for left in reversed(range(_TRIES)):
            try:
                headers = {"Range": f"bytes={first}-{last}", **self._headers}
                async with self._origin.get(self._url, headers) as answer:
                    return await self._part(answer, number)
            except OriginFailed:
                if not left:
                    raise
        raise AssertionError("unreachable")

    async def _part(self, answer: Answer, number: int) -> bytes:
        first, last = self._bounds(number)
        if answer.status != 206 or answer.validator != self._validator:
            raise OriginFailed("The media changed while they were read, or are served no more.")
        _require_identity(answer)
        span = answer.span
        if span is None or (span.first, span.last, span.size) != (first, last, self.size):
            raise OriginFailed("The origin sends another part of the media than it was asked for.")
        data = await answer.body(last + 1 - first)
        if len(data) != last + 1 - first:
            raise OriginFailed("The origin sends less than it announces.")
        return data

    def _bounds(self, number: int) -> tuple[int, int]:
        """First and last byte of a block."""
        return number * BLOCK, min((number + 1) * BLOCK, self.size) - 1


async def _text(source: Source, most: int) -> bytes:
    if source.size > most:
        raise OriginFailed(f"A playlist may have at most {most} bytes.")
    return await source.read(0, source.size)


def _is_page(head: bytes) -> bool:
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1024].lower()
    return start.startswith((b"<!doctype html", b"<html")) or (
        start.startswith(b"<") and b"<html" in start
    )


def _require_identity(answer: Answer) -> None:
    if (answer.header("content-encoding") or "identity").lower() != "identity":
        raise OriginFailed("The origin encodes the media, which it was asked not to.")


def _told(found: Found) -> str:
    """For the report."""
    text = f"The video was found on a page, by the reader for {found.site}"
    if found.height:
        text += f"; it is the rendition of {found.height} pixels' height"
    if found.renditions > 1:
        text += f", one of {found.renditions}" if found.height else f"; one of {found.renditions}"
    return text + ("; the page shows others as well." if found.several else ".")
