"""Origins that lie, stall, flood or break off cost a bounded time and a bounded number of bytes."""

from __future__ import annotations

import contextlib
import random
import socket
import time
from collections.abc import Iterator

import pytest

from service.errors import OriginFailed, OriginSlow, ServiceError, TooLarge, UrlBlocked
from service.sources.remote import BLOCK
from tests.origin.running import RunningSite, running_site
from tests.unit.sources.sites import everything, fetcher

DATA = random.Random(2).randbytes(3 * BLOCK)
LARGEST = 8 * BLOCK
SECONDS, IDLE = 3.0, 1.5

ORIGINS: dict[str, type[ServiceError]] = {
    "other-part": OriginFailed,
    "other-part-later": OriginFailed,
    "short-part": OriginFailed,
    "long-part": OriginFailed,
    "grows": OriginFailed,
    "changes": OriginFailed,
    "ranges-once": OriginFailed,
    "gone-later": OriginFailed,
    "promises-more": OriginFailed,
    "promises-petabytes": TooLarge,
    "two-lengths": OriginFailed,
    "two-ranges": OriginFailed,
    "negative-length": OriginFailed,
    "overflowing-range": OriginFailed,
    "several-parts": OriginFailed,
    "endless": TooLarge,
    "endless-chunks": TooLarge,
    "endless-head": OriginFailed,
    "endless-hints": OriginFailed,
    "crumbs": OriginFailed,
    "endless-chunk-head": OriginFailed,
    "silent": OriginSlow,
    "stalled": OriginSlow,
    "stalled-later": OriginSlow,
    "dripping": OriginSlow,
    "dripping-head": OriginSlow,
    "hangs-up": OriginFailed,
    "resets": OriginFailed,
    "garbage": OriginFailed,
    "bad-chunks": OriginFailed,
    "gzip": OriginFailed,
    "loop": OriginFailed,
    "nowhere": OriginFailed,
    "empty": OriginFailed,
    "missing": OriginFailed,
    "forbidden": OriginFailed,
    "broken": OriginFailed,
    "no-such-part": OriginFailed,
}


@pytest.fixture(scope="module")
def site() -> Iterator[RunningSite]:
    with running_site() as running:
        running.put(DATA)
        yield running


@pytest.mark.parametrize(("behaviour", "error"), ORIGINS.items(), ids=ORIGINS)
async def test_every_origin_ends_in_time_and_within_its_bytes(
    site: RunningSite, behaviour: str, error: type[ServiceError]
) -> None:
    fetch = fetcher(site, LARGEST, seconds=SECONDS, idle_seconds=IDLE)
    held: list[int] = []
    began = time.monotonic()
    with pytest.raises(error) as raised:
        async with fetch.open(fetch.checked(site.url(behaviour)), held.append) as source:
            await everything(source)
    assert time.monotonic() - began < SECONDS + 1
    assert sum(held) <= LARGEST
    assert str(site.port) not in raised.value.detail


@pytest.mark.parametrize("behaviour", ["silent", "stalled", "stalled-later"])
async def test_silence_ends_long_before_the_time_for_all(site: RunningSite, behaviour: str) -> None:
    fetch = fetcher(site, seconds=30.0, idle_seconds=IDLE)
    began = time.monotonic()
    with pytest.raises(OriginSlow):
        async with fetch.open(fetch.checked(site.url(behaviour))) as source:
            await everything(source)
    assert time.monotonic() - began < 4 * IDLE


@pytest.fixture
def full() -> Iterator[int]:
    """A port whose backlog is full: it neither takes nor refuses a connection."""
    with contextlib.ExitStack() as held:
        listener = held.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(8):
            one = held.enter_context(socket.socket())
            one.settimeout(0.2)
            try:
                one.connect(listener.getsockname())
            except TimeoutError:
                break
        else:
            pytest.skip("the backlog cannot be filled here")
        yield listener.getsockname()[1]


async def test_so_does_the_wait_for_a_connection(site: RunningSite, full: int) -> None:
    fetch = fetcher(site, seconds=30.0, idle_seconds=IDLE, ports=[full])
    began = time.monotonic()
    with pytest.raises(OriginSlow):
        async with fetch.open(fetch.checked(f"http://127.0.0.1:{full}/")):
            pass
    assert time.monotonic() - began < 4 * IDLE


async def test_tls_with_who_does_not_speak_it_fails(site: RunningSite) -> None:
    # It waits for the end of a head that never comes.
    fetch = fetcher(site, idle_seconds=IDLE)
    with pytest.raises(OriginSlow):
        async with fetch.open(fetch.checked(f"https://127.0.0.1:{site.port}/ranges/video")):
            pass


async def test_nobody_at_the_port_is_a_failure(site: RunningSite) -> None:
    fetch = fetcher(site, ports=[site.port, 9])
    with pytest.raises(OriginFailed):
        async with fetch.open(fetch.checked("http://127.0.0.1:9/")):
            pass


@pytest.mark.parametrize(
    "target",
    [
        "http://127.0.0.1:1/",
        "http:ranges/video",
        "http://[::1]:{port}/ranges/video",
        "http://0x7f000001:{port}/ranges/video",
        "http://169.254.169.254/latest/meta-data/",
        "http://10.0.0.1/",
        "//user@127.0.0.1:{port}/ranges/video",
        "file:///etc/passwd",
        "ftp://127.0.0.1/a",
        "gopher://127.0.0.1:{port}/_GET%20/",
        "data:video/mp4;base64,AAAA",
        "/ranges/a\\b",
        "/ranges/ video",
        "http://",
        "",
    ],
)
async def test_redirects_are_looked_at_like_urls(site: RunningSite, target: str) -> None:
    from urllib.parse import quote

    quoted = quote(target.format(port=site.port), safe="")
    fetch = fetcher(site)
    before = len(site.log())
    with pytest.raises(UrlBlocked):
        async with fetch.open(fetch.checked(f"http://127.0.0.1:{site.port}/to/{quoted}")):
            pass
    assert len(site.log()) == before + 1


async def test_no_redirect_beyond_the_number_allowed_is_followed(site: RunningSite) -> None:
    before = len(site.log())
    fetch = fetcher(site, redirects=3)
    with pytest.raises(OriginFailed):
        async with fetch.open(fetch.checked(site.url("loop"))):
            pass
    assert len(site.log()) == before + 4


async def test_the_site_itself_is_sound(site: RunningSite) -> None:
    fetch = fetcher(site, LARGEST, seconds=SECONDS, idle_seconds=IDLE)
    async with fetch.open(fetch.checked(site.url("ranges"))) as source:
        assert await everything(source) == DATA
