"""What fetching makes of pages."""

from __future__ import annotations

import asyncio
import os
import random
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from service.errors import OriginFailed, OriginSlow, PageUrl, UrlBlocked
from service.settings import FetchSettings
from service.sources.remote import Fetcher
from tests.origin.running import RunningSite, running_site
from tests.unit.sandbox.processes import children_of, descriptors, until
from tests.unit.sources.sites import everything

DATA = random.Random(5).randbytes(3 * 2**20)
SITES = ["Generic", "HTML5MediaEmbed"]


@pytest.fixture(scope="module")
def site() -> Iterator[RunningSite]:
    with running_site() as running:
        running.put(DATA, "face.mp4")
        yield running


def fetcher(site: RunningSite, largest: int = 2**24, **settings: Any) -> Fetcher:
    """One for which every name is that of the site."""
    values = {"ports": [site.port], "loopback": True, "seconds": 10.0, "idle_seconds": 2.0}

    async def resolve(host: str, port: int) -> Sequence[str]:
        return ["127.0.0.1"]

    return Fetcher(FetchSettings(**({"sites": SITES} | values | settings)), largest, resolve)


async def opened(fetch: Fetcher, url: str) -> tuple[bytes, tuple[str, ...]]:
    async with fetch.open(fetch.checked(url)) as source:
        return await everything(source), source.notes


def asked(site: RunningSite, since: int) -> list[tuple[str, dict[str, str]]]:
    found: Any = site.log()[since:]
    return [(each["target"], each["headers"]) for each in found]


async def test_the_video_comes_with_what_its_site_wants_to_see_and_cookies_stay(
    site: RunningSite,
) -> None:
    there = f"http://b.example:{site.port}/ranges/face.mp4"
    page = f'<html><video src="/to/{there}"></video>'
    site.put(page.encode(), "page")
    before = len(site.log())
    data, notes = await opened(fetcher(site), f"http://a.example:{site.port}/html/page")
    assert data == DATA
    assert "on a page" in notes[0]
    requests = asked(site, before)
    moved = next(headers for target, headers in requests if target.startswith("/to/"))
    files = [headers for target, headers in requests if target.startswith("/ranges/")]
    assert moved["cookie"] == "visited=yes"
    assert len(files) == 3
    for headers in files:
        assert headers["host"] == f"b.example:{site.port}"
        assert "cookie" not in headers
        assert headers["user-agent"].startswith("Mozilla/")
        assert headers["accept-encoding"] == "identity"


async def test_direct_videos_and_what_is_gone_start_no_process(
    site: RunningSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.sites.process.MODULE", "no.such.module")
    assert (await opened(fetcher(site), site.url("ranges", "face.mp4")))[0] == DATA
    for behaviour in ("missing", "broken"):
        with pytest.raises(OriginFailed):
            await opened(fetcher(site), site.url(behaviour))


@pytest.mark.parametrize("without", ["extra", "sites"])
async def test_without_a_reader_the_answer_says_so(
    site: RunningSite, monkeypatch: pytest.MonkeyPatch, without: str
) -> None:
    site.put(b"<!doctype html><html>", "page")
    if without == "extra":
        monkeypatch.setitem(sys.modules, "yt_dlp", None)
    fetch = fetcher(site, **({"sites": []} if without == "sites" else {}))
    with pytest.raises(PageUrl) as raised:
        await opened(fetch, site.url("open-html", "page"))
    assert "extra 'sites'" in raised.value.detail


async def test_a_page_of_no_site_that_is_read_is_told_apart(site: RunningSite) -> None:
    site.put(b"<!doctype html><html>", "page")
    fetch = fetcher(site, sites=["Reddit"])
    with pytest.raises(PageUrl) as raised:
        await opened(fetch, site.url("open-html", "page"))
    assert "none of the sites" in raised.value.detail
    with pytest.raises(OriginFailed) as refused:
        await opened(fetch, site.url("forbidden"))
    assert "403" in refused.value.detail


@pytest.mark.parametrize(
    "body",
    [
        '<video src="http://10.0.0.1:{port}/a.mp4"></video>',
        '<meta http-equiv="refresh" content="0; url=http://10.0.0.1:{port}/">',
        '<meta http-equiv="refresh" content="0; url=/to/http://10.0.0.1:{port}/">',
    ],
    ids=["video", "page", "redirect"],
)
async def test_a_page_that_leads_to_the_inside_is_blocked(site: RunningSite, body: str) -> None:
    site.put(f"<html>{body.format(port=site.port)}".encode(), "page")
    with pytest.raises(UrlBlocked):
        await opened(fetcher(site), site.url("open-html", "page"))


async def test_what_a_page_gives_for_a_video_is_read_as_none_again(site: RunningSite) -> None:
    site.put(b'<html><video src="/open-html/page"></video>', "page")
    with pytest.raises(PageUrl) as raised:
        await opened(fetcher(site), site.url("open-html", "page"))
    assert "page again" in raised.value.detail


async def test_a_page_without_end_is_known_by_its_beginning(site: RunningSite) -> None:
    before = site.sent()
    with pytest.raises(PageUrl):
        await opened(fetcher(site, sites=[]), site.url("endless-html"))
    await asyncio.sleep(0.2)
    assert site.sent() - before < 2**23


async def test_reading_a_page_shares_the_time_there_is_for_waiting(site: RunningSite) -> None:
    site.put(b"<!doctype html><html>", "slow")
    began = time.monotonic()
    with pytest.raises(OriginSlow):
        await opened(
            fetcher(site, seconds=2.0, idle_seconds=60.0), site.url("silent-later", "slow")
        )
    assert time.monotonic() - began < 3


async def test_who_gives_up_while_a_page_is_read_leaves_nothing(site: RunningSite) -> None:
    site.put(b"<!doctype html><html>", "left")
    fetch = fetcher(site, idle_seconds=60.0)
    before, others = descriptors(), children_of(os.getpid())
    opening = asyncio.create_task(opened(fetch, site.url("silent-later", "left")))
    await until(lambda: children_of(os.getpid()) != others)
    await asyncio.sleep(1)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    assert children_of(os.getpid()) == others
    assert descriptors() <= before
