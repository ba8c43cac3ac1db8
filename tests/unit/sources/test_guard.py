"""Names lead nowhere but to the public internet."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import httpcore2
import pytest

from service.errors import UrlBlocked
from service.settings import FetchSettings
from service.sources import guard
from service.sources.guard import Guard
from service.sources.url import parse
from tests.security.hostile_urls import PRIVATE
from tests.unit.sources.sites import addresses


class Canary:
    """Somebody on loopback whom nobody may reach."""

    def __init__(self) -> None:
        self.connections = 0
        self.port = 0

    def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        writer.close()


@pytest.fixture
async def canary() -> AsyncIterator[Canary]:
    found = Canary()
    server = await asyncio.start_server(found.connected, "127.0.0.1", 0)
    found.port = server.sockets[0].getsockname()[1]
    yield found
    server.close()
    await server.wait_closed()


def settings(canary: Canary, *, loopback: bool = False) -> FetchSettings:
    return FetchSettings(ports=[80, 443, canary.port], loopback=loopback)


@pytest.mark.parametrize("found", [[each] for each in PRIVATE] + [[]])
async def test_names_of_private_addresses_are_not_connected_to(found: list[str]) -> None:
    with pytest.raises(UrlBlocked):
        await Guard(FetchSettings(), addresses(*found)).connect_tcp("example.org", 80)


@pytest.mark.parametrize(
    "found",
    [
        ["127.0.0.1"],
        ["8.8.8.8", "127.0.0.1"],
        ["127.0.0.1", "8.8.8.8"],
        ["2606:4700::1111", "::ffff:127.0.0.1"],
    ],
)
async def test_one_private_address_among_public_ones_is_enough(
    canary: Canary, found: list[str]
) -> None:
    with pytest.raises(UrlBlocked):
        await Guard(settings(canary), addresses(*found)).connect_tcp("a.example", canary.port)
    assert not canary.connections


async def test_the_canary_can_be_reached_where_it_may(canary: Canary) -> None:
    open_guard = Guard(settings(canary, loopback=True), addresses("127.0.0.1"))
    stream = await open_guard.connect_tcp("a.example", canary.port)
    await stream.aclose()
    await asyncio.sleep(0.05)
    assert canary.connections == 1


async def test_the_address_looked_at_is_the_one_connected_to(
    canary: Canary, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    connected: list[str] = []

    async def rebinding(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return ["93.184.216.34"] if len(asked) == 1 else ["127.0.0.1"]

    async def connect(self: object, host: str, *arguments: object) -> object:
        connected.append(host)
        raise httpcore2.ConnectError

    monkeypatch.setattr(guard.AnyIOBackend, "connect_tcp", connect)
    with pytest.raises(httpcore2.ConnectError):
        await Guard(settings(canary), rebinding).connect_tcp("a.example", canary.port)
    assert asked == ["a.example"]
    assert connected == ["93.184.216.34"]
    with pytest.raises(UrlBlocked):
        await Guard(settings(canary), rebinding).connect_tcp("a.example", canary.port)
    assert connected == ["93.184.216.34"]


async def test_the_next_address_is_tried(canary: Canary, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []

    async def connect(self: object, host: str, *arguments: object) -> object:
        tried.append(host)
        if host == "8.8.8.8":
            raise httpcore2.ConnectTimeout
        return "stream"

    monkeypatch.setattr(guard.AnyIOBackend, "connect_tcp", connect)
    found = Guard(settings(canary), addresses("8.8.8.8", "2606:4700::1111"))
    assert await found.connect_tcp("a.example", 80) == "stream"  # type: ignore[comparison-overlap]
    assert tried == ["8.8.8.8", "2606:4700::1111"]


async def test_of_very_many_addresses_all_are_looked_at_and_few_tried(
    canary: Canary, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[str] = []

    async def connect(self: object, host: str, *arguments: object) -> object:
        tried.append(host)
        raise httpcore2.ConnectError

    monkeypatch.setattr(guard.AnyIOBackend, "connect_tcp", connect)
    many = [f"8.8.{high}.{low}" for high in range(9) for low in range(1, 250)]
    with pytest.raises(httpcore2.ConnectError):
        await Guard(settings(canary), addresses(*many)).connect_tcp("a.example", 80)
    assert tried == many[:4]
    with pytest.raises(UrlBlocked):
        await Guard(settings(canary), addresses(*many, "10.0.0.1")).connect_tcp("a.example", 80)


async def test_a_name_that_is_not_found_says_no_more_than_a_private_one() -> None:
    async def nobody(host: str, port: int) -> Sequence[str]:
        raise OSError("Name or service not known")

    with pytest.raises(UrlBlocked) as unknown:
        await Guard(FetchSettings(), nobody).connect_tcp("a.example", 80)
    with pytest.raises(UrlBlocked) as private:
        await Guard(FetchSettings(), addresses("10.0.0.1")).connect_tcp("a.example", 80)
    assert unknown.value.detail == private.value.detail


async def test_a_resolver_that_hangs_is_waited_for_no_longer_than_any_other() -> None:
    async def hangs(host: str, port: int) -> Sequence[str]:
        await asyncio.sleep(60)
        return []

    with pytest.raises(TimeoutError):
        await Guard(FetchSettings(), hangs).connect_tcp("a.example", 80, timeout=0.05)


async def test_unix_sockets_are_not_connected_to() -> None:
    with pytest.raises(UrlBlocked):
        await Guard(FetchSettings()).connect_unix_socket("/run/docker.sock")


@pytest.mark.parametrize(
    ("url", "changes", "allowed"),
    [
        ("http://a.example/", {}, True),
        ("https://a.example/", {}, True),
        ("http://a.example:22/", {}, False),
        ("http://a.example:8080/", {}, False),
        ("http://a.example:8080/", {"ports": [8080]}, True),
        ("http://a.example/", {"allow_hosts": ["b.example"]}, False),
        ("http://a.b.example/", {"allow_hosts": ["b.example"]}, True),
        ("http://b.example/", {"allow_hosts": ["b.example"]}, True),
        ("http://ab.example/", {"allow_hosts": ["b.example"]}, False),
        ("http://a.b.example/", {"deny_hosts": ["b.example"]}, False),
        ("http://b.example./", {"deny_hosts": ["b.example"]}, False),
        ("http://ab.example/", {"deny_hosts": ["b.example"]}, True),
        (
            "http://a.b.example/",
            {"allow_hosts": ["b.example"], "deny_hosts": ["a.b.example"]},
            False,
        ),
        ("http://8.8.8.8/", {}, True),
        ("http://127.0.0.1/", {}, False),
        ("http://127.0.0.1/", {"loopback": True}, True),
        ("http://127.0.0.2/", {"loopback": True}, False),
        ("http://[::1]/", {"loopback": True}, False),
    ],
)
def test_ports_and_hosts(url: str, changes: dict[str, object], allowed: bool) -> None:
    found = Guard(FetchSettings.model_validate(changes))
    if allowed:
        found.check(parse(url))
    else:
        with pytest.raises(UrlBlocked):
            found.check(parse(url))


def test_no_url_is_logged() -> None:
    import logging

    assert not logging.getLogger("httpcore2.connection").isEnabledFor(logging.ERROR)
