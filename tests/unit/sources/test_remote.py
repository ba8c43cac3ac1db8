"""Media behind a URL, from the test site in its own process."""

from __future__ import annotations

import hashlib
import random
import threading
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from service.errors import OriginFailed, TooLarge
from service.sources.parts import BLOCK, Remote
from service.sources.source import Memory
from tests.origin.running import RunningSite, running_site
from tests.unit.sources.sites import everything, fetcher

DATA = random.Random(1).randbytes(5 * BLOCK + 1234)


@pytest.fixture(scope="module")
def site() -> Iterator[RunningSite]:
    with running_site() as running:
        running.put(DATA)
        running.put(b"x", "small")
        yield running


@pytest.mark.parametrize(
    ("behaviour", "kind"),
    [
        ("ranges", Remote),
        ("closing", Remote),
        ("moved", Remote),
        ("whole", Memory),
        ("chunked", Memory),
        ("until-closed", Memory),
        ("unknown-total", Memory),
    ],
)
async def test_honest_sites_are_read_byte_for_byte(
    site: RunningSite, behaviour: str, kind: type
) -> None:
    fetch = fetcher(site)
    async with fetch.open(fetch.checked(site.url(behaviour))) as source:
        assert isinstance(source, kind)
        assert source.size == len(DATA)
        assert await everything(source) == DATA
        assert source.sha256 == hashlib.sha256(DATA).hexdigest()
        assert source.fetched >= len(DATA)
        assert source.waited > 0


async def test_one_byte_is_a_whole(site: RunningSite) -> None:
    fetch = fetcher(site)
    async with fetch.open(fetch.checked(site.url("ranges", "small"))) as source:
        assert (source.size, await source.read(0, 9)) == (1, b"x")


async def test_only_what_is_read_is_fetched_and_only_once(site: RunningSite) -> None:
    fetch = fetcher(site)
    held: list[int] = []
    before = site.sent()
    async with fetch.open(fetch.checked(site.url("ranges")), held.append) as source:
        at = 3 * BLOCK - 10
        assert await source.read(at, 20) == DATA[at : at + 20]
        assert await source.read(at - 5, 20) == DATA[at - 5 : at + 15]
        assert await source.read(len(DATA) - 3, 100) == DATA[-3:]
        assert await source.read(len(DATA) + 3, 100) == b""
        assert source.fetched == sum(held) == 3 * BLOCK + 1234
        assert source.sha256 is None
    assert site.sent() - before == 3 * BLOCK + 1234


async def test_of_large_media_little_is_held(
    site: RunningSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.sources.parts._RECENT", 2)
    fetch = fetcher(site, largest=BLOCK)
    held: list[int] = []
    async with fetch.open(fetch.checked(site.url("ranges")), held.append) as source:
        assert await everything(source) == DATA
        assert await everything(source) == DATA
        assert sum(held) == 2 * BLOCK
        assert source.sha256 is None
        assert source.fetched > 1.5 * len(DATA)


async def test_what_is_fetched_again_must_be_the_same(
    site: RunningSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.sources.parts._RECENT", 2)
    fetch = fetcher(site, largest=BLOCK)
    site.put(DATA, "exchanged")
    async with fetch.open(fetch.checked(site.url("ranges", "exchanged"))) as source:
        assert not source.kept
        assert await everything(source) == DATA
        site.put(DATA[:BLOCK] + b"!" + DATA[BLOCK + 1 :], "exchanged")
        assert await source.read(0, 9) == DATA[:9]
        with pytest.raises(OriginFailed):
            await source.read(BLOCK, 9)


async def test_the_hash_is_reckoned_beside_everything_else(
    site: RunningSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[threading.Thread] = []

    class Noted:
        def __init__(self) -> None:
            self._hash = hashlib.sha256()

        def update(self, data: bytes) -> None:
            seen.append(threading.current_thread())
            self._hash.update(data)

        def hexdigest(self) -> str:
            return self._hash.hexdigest()

    fetch = fetcher(site)
    async with fetch.open(fetch.checked(site.url("ranges"))) as source:
        await everything(source)
        with monkeypatch.context() as patched:
            patched.setattr("service.sources.parts.hashlib", SimpleNamespace(sha256=Noted))
            assert await source.hashed() == hashlib.sha256(DATA).hexdigest()
    assert len(seen) == 6
    assert threading.main_thread() not in seen


@pytest.mark.parametrize("behaviour", ["whole", "chunked", "promises-petabytes", "endless"])
async def test_what_comes_whole_must_fit(site: RunningSite, behaviour: str) -> None:
    fetch = fetcher(site, largest=3 * BLOCK)
    held: list[int] = []
    with pytest.raises(TooLarge):
        async with fetch.open(fetch.checked(site.url(behaviour)), held.append):
            pass
    assert sum(held) <= 3 * BLOCK


@pytest.mark.parametrize("behaviour", ["ranges", "whole"])
async def test_who_has_no_room_ends_the_fetch(site: RunningSite, behaviour: str) -> None:
    class Full(Exception):
        pass

    def arrived(size: int) -> None:
        raise Full

    fetch = fetcher(site)
    with pytest.raises(Full):
        async with fetch.open(fetch.checked(site.url(behaviour)), arrived):
            pass


async def test_requests_carry_nothing_but_what_is_needed(site: RunningSite) -> None:
    fetch = fetcher(site)
    async with fetch.open(fetch.checked(site.url("ranges") + "?a=b#c")) as source:
        await source.read(BLOCK, 1)
    first, second = site.log()[-2:]
    assert first["target"] == "/ranges/video?a=b"
    headers = first["headers"]
    assert isinstance(headers, dict)
    assert set(headers) == {"host", "accept", "accept-encoding", "user-agent", "range"}
    assert headers["host"] == f"127.0.0.1:{site.port}"
    assert headers["accept-encoding"] == "identity"
    again = second["headers"]
    assert isinstance(again, dict)
    assert again["if-range"] == '"one"'
    assert again["range"] == f"bytes={BLOCK}-{2 * BLOCK - 1}"


async def test_a_part_that_fails_once_is_asked_for_again(
    site: RunningSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch = fetcher(site)
    async with fetch.open(fetch.checked(site.url("ranges"))) as source:
        real, calls = Remote._part, 0

        async def once(self: Remote, *arguments: object) -> bytes:
            nonlocal calls
            calls += 1
            if calls == 1:
                raise OriginFailed("broke off")
            return await real(self, *arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(Remote, "_part", once)
        assert await source.read(2 * BLOCK, 5) == DATA[2 * BLOCK : 2 * BLOCK + 5]
        assert calls == 2
