"""Media behind a URL: read part by part where the origin serves parts, else into memory."""

from __future__ import annotations

import hashlib
import io
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import httpcore2

from service.errors import OriginFailed, PageUrl, TooLarge
from service.settings import FetchSettings
from service.sites.errand import Errand
from service.sites.messages import Found
from service.sites.reader import PageReader
from service.sources import dash, hls
from service.sources.guard import Guard, Resolve
from service.sources.names import resolve, resolve_called
from service.sources.origin import Answer, Origin
from service.sources.parts import BLOCK, Remote, require_identity
from service.sources.pieces import Arrived, join
from service.sources.source import Memory, Source
from service.sources.url import Url, parse

_HEAD = 4096
"""Bytes by which playlists and pages are told from videos."""


class _NoMedia(Exception):
    """At ``url`` there is a page, or something that is not given out to who does not know the site.
    ``error`` is the answer where nobody here does."""

    def __init__(self, url: Url, error: PageUrl | OriginFailed) -> None:
        super().__init__()
        self.url, self.error = url, error


class Fetcher:
    """Opens URLs. Media of up to ``largest`` bytes are kept as they come, so that nothing is
    fetched twice."""

    def __init__(
        self,
        settings: FetchSettings,
        largest: int,
        resolve: Resolve = resolve,
        resolve_called: Resolve = resolve_called,
    ) -> None:
        self._settings, self._largest = settings, largest
        self._guard, self._calling = Guard(settings, resolve), Guard(settings, resolve_called)
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
        async with Origin(self._settings, self._calling, self._tls) as origin:
            return await origin.post(url, body, headers)

    async def _opened(self, origin: Origin, url: Url, arrived: Arrived) -> Source:
        try:
            return await self._media(origin, url, arrived)
        except _NoMedia as page:
            if self._pages is None:
                raise page.error from None
            found = await self._found(self._pages, origin, url, page)
        video = self.checked(found.url)
        origin.introduce(found.headers, video)
        try:
            source = await self._media(origin, video, arrived)
        except _NoMedia as page:
            if isinstance(page.error, PageUrl):
                raise PageUrl("What the page gives for a video is a page again.") from None
            raise page.error from None
        source.notes = (_told(found), *source.notes)
        return source

    async def _found(self, pages: PageReader, origin: Origin, url: Url, page: _NoMedia) -> Found:
        """Where a page's video is."""
        known_by = list(dict.fromkeys(map(str, (url, page.url))))
        errand = Errand(origin)
        try:
            found = await pages.find(known_by, errand.send, origin.reading())
        except OriginFailed as failed:
            raise (errand.refusal or failed) from None
        if found is not None:
            return found
        if isinstance(page.error, PageUrl):
            raise PageUrl("The URL leads to a page, which is of none of the sites read here.")
        raise page.error

    async def _media(self, origin: Origin, url: Url, arrived: Arrived) -> Memory | Remote:
        source, place = await self._file(origin, url, arrived)
        head = await source.read(0, _HEAD)
        if _is_page(head):
            raise _page(place)
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
                raise _refused(answer)
        # A part of a whole of unknown size is of no use.
        async with origin.get(url) as answer:
            if answer.status != 200:
                raise _refused(answer)
            return await self._whole(answer, origin, arrived), answer.url

    async def _whole(self, answer: Answer, origin: Origin, arrived: Arrived) -> Memory:
        require_identity(answer)
        if (answer.length or 0) > self._largest:
            raise self._too_large()
        # As for uploads: hands its memory over without a copy.
        data, digest = io.BytesIO(), hashlib.sha256()
        async for chunk in answer.chunks():
            if data.tell() + len(chunk) > self._largest:
                raise self._too_large()
            if data.tell() < _HEAD and _is_page(data.getvalue() + chunk[:_HEAD]):
                # It may have no end.
                raise _page(answer.url)
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


async def _text(source: Source, most: int) -> bytes:
    if source.size > most:
        raise OriginFailed(f"A playlist may have at most {most} bytes.")
    return await source.read(0, source.size)


def _is_page(head: bytes) -> bool:
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1024].lower()
    return start.startswith((b"<!doctype html", b"<html")) or (
        start.startswith(b"<") and b"<html" in start
    )


def _page(url: Url) -> _NoMedia:
    return _NoMedia(
        url,
        PageUrl(
            "The URL leads to a page, not to a video, and this service reads no pages: its extra "
            "'sites' is not installed, or switched off."
        ),
    )


def _refused(answer: Answer) -> OriginFailed | _NoMedia:
    error = OriginFailed(f"The origin answers with status {answer.status}.")
    # The others mean the same whoever asks.
    if 400 <= answer.status < 500 and answer.status not in (404, 410, 416):
        return _NoMedia(answer.url, error)
    return error


def _told(found: Found) -> str:
    """For the report."""
    text = f"The video was found on a page, by the reader for {found.site}"
    if found.height:
        text += f"; it is the rendition of {found.height} pixels' height"
    if found.renditions > 1:
        text += f", one of {found.renditions}" if found.height else f"; one of {found.renditions}"
    return text + ("; the page shows others as well." if found.several else ".")
