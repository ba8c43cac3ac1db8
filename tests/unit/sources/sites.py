"""Fetching from the test site."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from service.settings import FetchSettings
from service.sources.remote import Fetcher
from service.sources.source import Source
from tests.origin.running import RunningSite

LARGEST = 40 * 2**20


def fetcher(site: RunningSite, largest: int = LARGEST, **settings: Any) -> Fetcher:
    """One that may go to the site, in time enough for any machine."""
    values = {"ports": [site.port], "loopback": True, "seconds": 60.0, "idle_seconds": 20.0}
    return Fetcher(FetchSettings(**(values | settings)), largest)


async def everything(source: Source, size: int = 2**20) -> bytes:
    """All bytes, read in order."""
    parts = [await source.read(at, size) for at in range(0, source.size, size)]
    return b"".join(parts)


def addresses(*texts: str) -> Any:
    """A resolver that answers with these, whatever it is asked."""

    async def resolve(host: str, port: int) -> Sequence[str]:
        return texts

    return resolve
