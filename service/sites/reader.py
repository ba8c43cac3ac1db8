"""Where the video of a page is: what fetching uses of this package."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from importlib.util import find_spec

from service.errors import OriginFailed, PageUrl, WorkerLost
from service.settings import FetchSettings
from service.sites import headers, process
from service.sites.messages import Denied, Found, Given, Lost, Order, Page, Ready, Wanted

Send = Callable[[Wanted, bytes], Awaitable[tuple[Given | Denied, bytes]]]
"""Sends one request of a page, without following redirects; see ``Errand.send``."""

_TOGETHER = 4
"""Pages read at the same time, each by a process that may hold half a gigabyte."""

_log = logging.getLogger(__name__)


class PageReader:
    """Reads pages of the sites that the settings name, each in a process of its own: pages share
    neither cookies nor the addresses of memory, and none waits there with what another left."""

    def __init__(self, sites: Sequence[str]) -> None:
        self._sites = list(sites)
        self._places = asyncio.Semaphore(_TOGETHER)
        self._unknown: set[str] = set()
        """Sites whose lack has been logged."""
        self.layers: tuple[str, ...] = ()
        """What confined the last process; logged whenever it is something else."""

    @classmethod
    def of(cls, settings: FetchSettings) -> PageReader | None:
        """None where the settings name no site, or yt-dlp is not installed."""
        return cls(settings.sites) if settings.sites and find_spec("yt_dlp") else None

    async def find(
        self,
        pages: Sequence[str],
        send: Send,
        reading: AbstractAsyncContextManager[None] | None = None,
    ) -> Found | None:
        """Where the video is of the page that is known by these URLs; None where it is of no site
        that may be read, or leads to one. ``reading`` is entered once a place is free: no page has
        to answer for those that were read before it.

        Raises ``PageUrl`` where the page shows no video, ``OriginFailed`` where its site gives none
        out, ``TooSlow``, ``WorkerLost`` and what ``send`` raises. However it ends, no process is
        left.
        """
        async with self._places, reading or nullcontext():
            with process.running() as worker:
                order = Order(parent=os.getpid(), sites=self._sites)
                await worker.send(order.model_dump_json())
                word, _ = await worker.receive()
                if not isinstance(word, Ready):
                    raise _astray()
                self._started(word)
                await worker.send(Page(urls=list(pages)).model_dump_json())
                word, body = await worker.receive()
                while isinstance(word, Wanted):
                    answer, data = await send(word, body)
                    await worker.send(answer.model_dump_json(), data)
                    word, body = await worker.receive()
        match word:
            case Lost(reason="no_site"):
                return None
            case Lost(reason="no_video"):
                raise PageUrl("The URL leads to a page that shows no video.")
            case Lost():
                raise OriginFailed(
                    "The page's site gives no video out: it may be private, gone, encrypted, for "
                    "members or some countries alone, or the site has changed."
                )
        if not isinstance(word, Found) or word.site not in self._sites:
            raise _astray()
        proper = {name: text for name, text in word.headers.items() if headers.of_media(name)}
        return word.model_copy(update={"headers": proper})

    def _started(self, ready: Ready) -> None:
        if tuple(ready.layers) != self.layers:
            self.layers = tuple(ready.layers)
            _log.info("pages are read in confinement", extra={"fields": {"layers": ready.layers}})
        unknown = set(ready.unknown) & set(self._sites) - self._unknown
        if unknown:
            self._unknown |= unknown
            fields = {"sites": sorted(unknown)}
            _log.warning("yt-dlp knows no such sites", extra={"fields": fields})


def _astray() -> WorkerLost:
    return WorkerLost("The process that read the page went astray.")
