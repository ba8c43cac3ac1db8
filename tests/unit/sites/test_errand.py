"""Requests of a page are guarded, bounded and few."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from service.errors import OriginFailed, OriginSlow, UrlBlocked
from service.settings import FetchSettings
from service.sites import errand
from service.sites.errand import Errand
from service.sites.messages import Denied, Given, Wanted
from service.sources.guard import Guard
from service.sources.origin import Origin
from tests.origin.running import RunningSite, running_site


@pytest.fixture(scope="module")
def site() -> Iterator[RunningSite]:
    with running_site() as running:
        running.put(b"<html>a page")
        yield running


@asynccontextmanager
async def going_to(site: RunningSite, **settings: Any) -> AsyncIterator[Errand]:
    values = {"ports": [site.port], "loopback": True, "seconds": 5.0, "idle_seconds": 1.0}
    known = FetchSettings(**(values | settings))
    async with Origin(known, Guard(known), ssl.create_default_context()) as origin:
        yield Errand(origin)


def wanted(url: str, method: Any = "GET", **headers: str) -> Wanted:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Wanted(method=method, url=url, headers=named)


async def test_an_answer_comes_with_the_headers_that_are_of_use(site: RunningSite) -> None:
    async with going_to(site) as going:
        given, body = await going.send(wanted(site.url("html"), User_Agent="Mozilla/5.0"), b"")
    assert isinstance(given, Given)
    assert given.status == 200
    assert body == b"<html>a page"
    assert dict(given.headers) == {"Content-Type": "text/html", "Set-Cookie": "visited=yes; Path=/"}


async def test_headers_that_make_one_request_look_like_another_are_not_sent(
    site: RunningSite,
) -> None:
    named = {
        "Host": "a.example",
        "Connection": "close",
        "Transfer_Encoding": "chunked",
        "Content_Length": "5",
        "Proxy_Authorization": "x",
        "Accept_Encoding": "gzip",
        "Range": "bytes=0-0",
        "X_Forwarded_For": "10.0.0.1",
        "X_Method_Override": "DELETE",
        "X_Rewrite_Url": "/admin",
        "X_True_Client_Ip": "10.0.0.1",
        "X_Token": "t",
        "X_CSRFToken": "t",
        "Authorization": "Bearer b",
        "User_Agent": "u",
        "Cookie": "c=d",
    }
    async with going_to(site) as going:
        await going.send(wanted(site.url("whole"), **named), b"")
    sent = site.log()[-1]["headers"]
    assert sent == {
        "host": f"127.0.0.1:{site.port}",
        "accept": "*/*",
        "accept-encoding": "identity",
        "user-agent": "u",
        "x-csrftoken": "t",
        "authorization": "Bearer b",
        "cookie": "c=d",
    }


async def test_what_is_posted_arrives(site: RunningSite) -> None:
    async with going_to(site) as going:
        await going.send(wanted(site.url("whole"), "POST", Content_Type="a/b"), b"posted")
    assert site.log()[-1] == site.log()[-1] | {"method": "POST", "body": "posted"}


async def test_redirects_are_answers(site: RunningSite) -> None:
    before = len(site.log())
    async with going_to(site) as going:
        given, _ = await going.send(wanted(site.url("loop")), b"")
    assert isinstance(given, Given)
    assert given.status == 302
    assert dict(given.headers)["Location"] == "/loop/video"
    assert len(site.log()) == before + 1


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("http://10.0.0.1:{port}/", UrlBlocked),
        ("http://127.0.0.1:1/", UrlBlocked),
        ("file:///etc/passwd", UrlBlocked),
        ("http://user@127.0.0.1/", UrlBlocked),
        ("http://[::1]:{port}/", UrlBlocked),
        ("hangs-up", OriginFailed),
        ("silent", OriginSlow),
        ("endless-head", OriginFailed),
    ],
)
async def test_what_may_not_be_sent_or_fails_has_no_answer(
    site: RunningSite, url: str, error: type[Exception]
) -> None:
    place = url.format(port=site.port) if ":" in url else site.url(url)
    async with going_to(site) as going:
        given, body = await going.send(wanted(place), b"")
        assert (given, body) == (Denied(), b"")
        assert isinstance(going.refusal, error)


async def test_a_refusal_is_forgotten_once_there_is_an_answer_again(site: RunningSite) -> None:
    async with going_to(site) as going:
        await going.send(wanted("http://10.0.0.1/"), b"")
        assert isinstance(going.refusal, UrlBlocked)
        await going.send(wanted(site.url("whole")), b"")
        assert going.refusal is None


async def test_of_media_only_the_head_is_taken(site: RunningSite) -> None:
    site.put(bytes(3 * 2**20), "long")
    before = site.sent()
    async with going_to(site) as going:
        _, body = await going.send(wanted(site.url("whole", "long")), b"")
    assert len(body) == 4096
    assert site.sent() - before <= 3 * 2**20


async def test_a_playlist_is_taken_whole_though_it_goes_by_the_type_of_media(
    site: RunningSite,
) -> None:
    text = b"#EXTM3U\n" + b"#a line\n" * 10_000
    site.put(text, "list")
    async with going_to(site) as going:
        _, body = await going.send(wanted(site.url("whole", "list")), b"")
    assert body == text


async def test_requests_are_few(site: RunningSite) -> None:
    async with going_to(site) as going:
        for _ in range(errand.REQUESTS):
            await going.send(wanted(site.url("loop")), b"")
        with pytest.raises(OriginFailed):
            await going.send(wanted(site.url("loop")), b"")
        assert isinstance(going.refusal, OriginFailed)


async def test_answers_are_bounded_each_and_together(
    site: RunningSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(errand, "ANSWER_BYTES", 1000)
    monkeypatch.setattr(errand, "ALL_BYTES", 2500)
    for size in (900, 1001):
        site.put(bytes(size), str(size))
    async with going_to(site) as going:
        with pytest.raises(OriginFailed):
            await going.send(wanted(site.url("open-html", "1001")), b"")
    async with going_to(site) as going:
        for _ in range(2):
            await going.send(wanted(site.url("open-html", "900")), b"")
        with pytest.raises(OriginFailed):
            await going.send(wanted(site.url("open-html", "900")), b"")
