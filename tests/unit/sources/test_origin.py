"""What an origin may take of the event loop, and what it is told."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import httpcore2
import pytest

from service.errors import OriginFailed
from service.settings import FetchSettings
from service.sources.guard import Guard
from service.sources.meter import HEAD_BYTES, Meter
from service.sources.origin import Answer, Origin
from service.sources.url import parse
from tests.origin.running import RunningSite, running_site
from tests.unit.sources.sites import addresses


async def turns(work: Callable[[], Awaitable[object]]) -> int:
    """How often others could do something meanwhile."""
    count = 0

    async def beat() -> None:
        nonlocal count
        while True:
            await asyncio.sleep(0)
            count += 1

    beating = asyncio.create_task(beat())
    await work()
    beating.cancel()
    return count


class AtOnce(httpcore2.AsyncNetworkBackend, httpcore2.AsyncNetworkStream):
    """Has always something to be read."""

    async def connect_tcp(self, *arguments: Any, **named: Any) -> httpcore2.AsyncNetworkStream:
        return self

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        return bytes(max_bytes)


class Response:
    """A body that is there already."""

    def __init__(self, *chunks: bytes) -> None:
        self.status = 200
        self._chunks = chunks

    async def aiter_stream(self) -> AsyncIterator[bytes]:
        for chunk in self._chunks:
            yield chunk


def origin(*ports: int) -> Origin:
    """One for which every name is this machine's."""
    settings = FetchSettings(ports=[80, *ports], loopback=True)
    guard = Guard(settings, addresses("127.0.0.1"))
    return Origin(settings, guard, ssl.create_default_context())


def answer(*chunks: bytes) -> Answer:
    return Answer(parse("http://a.example/"), Response(*chunks), origin())  # type: ignore[arg-type]


async def test_others_have_a_turn_between_two_reads() -> None:
    stream = await Meter(AtOnce()).connect_tcp("a.example", 80)

    async def read() -> None:
        for _ in range(50):
            await stream.read(10)

    assert await turns(read) >= 49


async def test_what_comes_before_an_answer_is_bounded_what_comes_after_is_not() -> None:
    meter = Meter(AtOnce())
    stream = await meter.connect_tcp("a.example", 80)

    async def read(size: int) -> None:
        while size > 0:
            size -= len(await stream.read(2**16))

    with meter.head():
        await read(HEAD_BYTES)
    await read(2 * HEAD_BYTES)
    with meter.head(), pytest.raises(httpcore2.RemoteProtocolError):
        await read(HEAD_BYTES + 1)


async def test_others_have_a_turn_between_two_chunks() -> None:
    found = answer(*[b"x" * 100] * 50)
    assert await turns(lambda: found.body(10**6)) >= 49


async def test_a_body_of_crumbs_is_refused() -> None:
    assert len(await answer(*[b"x"] * 1000).body(10**6)) == 1000
    assert len(await answer(*[b"x" * 64] * 5000).body(10**6)) == 320_000
    with pytest.raises(OriginFailed):
        await answer(*[b"x"] * 1100).body(10**6)


@pytest.fixture(scope="module")
def sites() -> Iterator[tuple[RunningSite, RunningSite]]:
    with running_site() as one, running_site() as other:
        yield one, other


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("http://a.example:{one}/whole/v", True),
        ("http://a.example:{one}/to/http://a.example:{one}/whole/v", True),
        ("http://b.example:{one}/whole/v", False),
        ("http://a.example:{other}/whole/v", False),
        ("http://a.example:{one}/to/http://a.example:{other}/whole/v", False),
    ],
)
async def test_what_tells_who_asks_stays_with_scheme_host_and_port(
    sites: tuple[RunningSite, RunningSite], place: str, told: bool
) -> None:
    one, other = sites
    headers = {"Cookie": "a=b", "X-Token": "t", "Referer": "r", "User-Agent": "u"}
    async with origin(one.port, other.port) as known:
        known.introduce(headers, parse(f"http://a.example:{one.port}/"))
        async with known.get(parse(place.format(one=one.port, other=other.port))):
            pass
    last = (other if "other" in place else one).log()[-1]["headers"]
    assert isinstance(last, dict)
    assert (last["referer"], last["user-agent"]) == ("r", "u")
    assert ({"cookie", "x-token"} <= set(last)) == told
    assert bool({"cookie", "x-token"} & set(last)) == told
