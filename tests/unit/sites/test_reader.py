"""Pages are read by yt-dlp, in a process that can do nothing but ask."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from service.errors import OriginFailed, PageUrl, ServiceError, TooSlow, WorkerLost
from service.settings import SITES, FetchSettings
from service.sites import process
from service.sites.messages import Denied, Found, Given, Wanted
from service.sites.reader import PageReader
from tests.unit.sandbox.processes import children_of, descriptors
from tests.unit.sites import canned, captive
from tests.unit.sites.canned import Web, answer

LAYERS = {"memory", "processor", "files", "descriptors", "seccomp"}


async def found(page: str, web: Web, *sites: str) -> Found:
    video = await PageReader(sites or SITES).find([page], web.send)
    assert video is not None
    return video


async def test_a_reddit_post_leads_to_its_best_file() -> None:
    web = Web(canned.reddit(240, 720, 1080))
    video = await found(canned.REDDIT_PAGE, web)
    assert video.url == "https://v.redd.it/xyz/DASH_1080.mp4"
    assert (video.site, video.height, video.several) == ("Reddit", 1080, False)
    assert video.renditions > 1
    assert canned.REDDIT_DATA in web.urls


async def test_more_than_1080_lines_are_taken_only_where_there_is_nothing_else() -> None:
    smaller = await found(canned.REDDIT_PAGE, Web(canned.reddit(2160, 1080, fallback=720)))
    assert smaller.height == 1080
    larger = await found(canned.REDDIT_PAGE, Web(canned.reddit(2160, fallback=1440)))
    assert larger.height == 1440


async def test_a_file_is_better_than_a_list_of_pieces() -> None:
    video = await found(canned.REDDIT_PAGE, Web(canned.reddit(fallback=480)))
    assert video.url == "https://v.redd.it/xyz/DASH_480.mp4?source=fallback"


async def test_a_session_of_the_site_is_kept_while_the_page_is_read() -> None:
    web = Web(canned.reddit(720))
    await found(canned.REDDIT_PAGE, web)
    at_data = next(each for each in web.asked if each.url == canned.REDDIT_DATA)
    assert "loid=x" in at_data.headers["Cookie"]
    elsewhere = [each for each in web.asked if "redd.it" in each.url]
    assert elsewhere
    assert not [each for each in elsewhere if "Cookie" in each.headers]


async def test_bilibili_gives_a_file_without_sound_for_who_names_the_page() -> None:
    video = await found(canned.BILIBILI_PAGE, Web(canned.BILIBILI))
    assert video.url == "https://cdn.bilivideo.example/upgcxcode/2-1080.m4s?e=x"
    assert video.headers["Referer"] == canned.BILIBILI_PAGE
    assert (video.site, video.height, video.renditions) == ("BiliBili", 1080, 3)


async def test_youtube_is_read_without_running_its_scripts() -> None:
    video = await found(canned.YOUTUBE_PAGE, Web(canned.YOUTUBE))
    assert "itag=137" in video.url
    assert (video.site, video.height) == ("Youtube", 1080)


async def test_a_post_that_links_to_another_site_leads_there_if_that_is_read() -> None:
    post = canned.reddit_post(url=canned.YOUTUBE_PAGE)
    answers = {**canned.REDDIT_SESSION, canned.REDDIT_DATA: post, **canned.YOUTUBE}
    video = await found(canned.REDDIT_PAGE, Web(answers))
    assert video.site == "Youtube"
    web = Web(answers)
    assert await PageReader(["Reddit", "BiliBili"]).find([canned.REDDIT_PAGE], web.send) is None
    assert not [each for each in web.urls if "youtube" in each]


async def test_of_several_videos_the_first_is_taken_which_is_said() -> None:
    media = {
        name: {"id": name, "e": "RedditVideo", "hlsUrl": f"https://v.redd.it/{name}/a.m3u8"}
        for name in ("one", "two")
    }
    post = canned.reddit_post(url=canned.REDDIT_PAGE, media_metadata=media)
    hls = canned.reddit()["https://v.redd.it/xyz/HLSPlaylist.m3u8"]
    web = Web({**canned.REDDIT_SESSION, canned.REDDIT_DATA: post, "https://v.redd.it/": hls})
    video = await found(canned.REDDIT_PAGE, web)
    assert video.url == "https://v.redd.it/one/HLS_720.m3u8"
    assert video.several


@pytest.mark.parametrize("page", ["https://vimeo.com/1", "https://a.example/", "ytsearch:x", "x"])
async def test_a_page_of_no_site_that_is_read_is_not_asked_for(page: str) -> None:
    web = Web({})
    assert await PageReader(["Reddit", "Youtube"]).find([page], web.send) is None
    assert not web.asked


async def test_a_page_may_be_known_by_where_it_was_moved_to() -> None:
    web = Web(canned.BILIBILI)
    video = await PageReader(SITES).find(["https://b23.example/x", canned.BILIBILI_PAGE], web.send)
    assert video is not None
    assert video.site == "BiliBili"


@pytest.mark.parametrize(
    "post",
    [
        answer({"error": 403, "reason": "private"}, status=403),
        answer("<html>log in", status=403),
        answer([{"data": {"children": []}}]),
        answer("[" * 100_000, "application/json"),
        canned.reddit_post(url="https://v.redd.it/xyz"),
        (Denied(), b""),
    ],
    ids=["private", "login", "changed", "deep", "processing", "denied"],
)
async def test_what_a_site_does_not_give_out_is_told_in_our_own_words(post: object) -> None:
    with pytest.raises(OriginFailed) as raised:
        await found(canned.REDDIT_PAGE, Web({**canned.REDDIT_SESSION, canned.REDDIT_DATA: post}))
    assert "reddit" not in raised.value.detail.lower()


async def test_a_page_without_a_video_is_a_page() -> None:
    web = Web({"http://a.example/": answer("<!doctype html><html>nothing")})
    with pytest.raises(PageUrl):
        await found("http://a.example/", web, "Generic")


async def test_redirects_are_asked_for_one_by_one_and_secrets_stay_with_their_host() -> None:
    def first(wanted: Wanted) -> tuple[Given, bytes]:
        return answer("", status=302, Location="/second", Set_Cookie="a=1")

    def second(wanted: Wanted) -> tuple[Given, bytes]:
        return answer("", status=302, Location="http://b.example/page")

    page = answer('<html><video src="/v.mp4"></video>')
    web = Web(
        {"http://a.example/first": first, "http://a.example/second": second, "http://b.": page}
    )
    asked = "http://me:secret@a.example/first"
    video = await found(asked, web, "Generic", "HTML5MediaEmbed")
    assert video.url == "http://b.example/v.mp4"
    known, moved, elsewhere = web.asked[:3]
    assert known.headers["Authorization"] == moved.headers["Authorization"]
    assert moved.headers["Cookie"] == "a=1"
    assert elsewhere.url == "http://b.example/page"
    assert not {"Authorization", "Cookie"} & set(elsewhere.headers)


async def test_nobody_follows_redirects_for_ever() -> None:
    web = Web({"http://a.example/": lambda _: answer("", status=302, Location="/again")})
    with pytest.raises(OriginFailed):
        await found("http://a.example/", web, "Generic")
    assert len(web.asked) <= 6


async def test_a_process_that_reads_is_confined_and_starts_with_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    captive.CANARY.unlink(missing_ok=True)
    monkeypatch.setenv("CANARY", "secret")
    monkeypatch.setattr(process, "MODULE", "tests.unit.sites.captive")
    kept = os.open("/dev/zero", os.O_RDONLY)
    os.set_inheritable(kept, True)
    web = Web({"http://a.example/": (Denied(), b"")})
    reader = PageReader(["Reddit"])
    with pytest.raises(OriginFailed):
        await reader.find(["all"], web.send)
    os.close(kept)
    outcomes = {each.headers["X-Name"]: each.headers["X-Outcome"] for each in web.asked}
    refused = ("PermissionError", "OSError", "gaierror", "MemoryError", "BlockingIOError")
    assert outcomes.pop("descriptors") == "[]"
    assert "CANARY" not in outcomes["environment"]
    assert "HOME" not in outcomes.pop("environment")
    assert outcomes.pop("import") in ("ModuleNotFoundError", *refused)
    assert outcomes
    assert {name: how for name, how in outcomes.items() if how not in refused} == {}
    assert not captive.CANARY.exists()
    assert set(reader.layers) >= LAYERS


@pytest.mark.parametrize(
    ("deed", "error"),
    [
        ("crash", WorkerLost),
        ("spin", TooSlow),
        ("babble", WorkerLost),
        ("ready again", WorkerLost),
        ("long head", WorkerLost),
        ("long body", WorkerLost),
        ("hang up", WorkerLost),
        ("another site", WorkerLost),
    ],
)
async def test_a_process_that_was_taken_over_fails_its_page_and_is_gone(
    monkeypatch: pytest.MonkeyPatch, deed: str, error: type[ServiceError]
) -> None:
    monkeypatch.setattr(process, "MODULE", "tests.unit.sites.captive")
    before = descriptors()
    with pytest.raises(error):
        await PageReader(["Reddit"]).find([deed], Web({}).send)
    assert descriptors() == before
    assert not children_of(os.getpid())


async def test_nothing_is_sent_for_a_process_that_is_not_confined_yet(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(process, "MODULE", "tests.unit.sites.captive")
    web = Web({})
    with pytest.raises(WorkerLost):
        await PageReader([captive.EARLY]).find(["wait"], web.send)
    assert not web.asked


async def test_a_process_learns_of_the_page_once_it_is_confined(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "service.sites.reader")
    monkeypatch.setattr(process, "MODULE", "tests.unit.sites.captive")
    reader = PageReader(["Reddit", captive.LISTENING])
    for _ in range(2):
        assert await reader.find(["improper headers"], Web({}).send) is not None
    told = [each for each in caplog.records if each.levelno == logging.INFO]
    assert len(told) == 1
    assert set(told[0].fields["layers"]) >= LAYERS  # type: ignore[attr-defined]


async def test_headers_that_no_page_may_set_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "MODULE", "tests.unit.sites.captive")
    video = await PageReader(["Reddit"]).find(["improper headers"], Web({}).send)
    assert video is not None
    assert video.headers == {"Referer": "r"}


async def test_who_gives_up_leaves_no_process_and_no_descriptor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(process, "MODULE", "tests.unit.sites.captive")
    before = descriptors()
    reading = asyncio.create_task(PageReader(["Reddit"]).find(["wait"], Web({}).send))
    await asyncio.sleep(1.5)
    assert len(children_of(os.getpid())) == 1
    began = time.monotonic()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert time.monotonic() - began < 1
    assert not children_of(os.getpid())
    assert descriptors() == before


async def test_no_more_pages_are_read_at_a_time_than_there_are_places(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(process, "MODULE", "tests.unit.sites.captive")
    monkeypatch.setattr("service.sites.reader._TOGETHER", 1)
    reader = PageReader(["Reddit"])
    reading = [asyncio.create_task(reader.find(["wait"], Web({}).send)) for _ in range(3)]
    await asyncio.sleep(0.5)
    assert len(children_of(os.getpid())) == 1
    for each in reading:
        each.cancel()
    await asyncio.wait(reading)
    assert not children_of(os.getpid())


async def test_waiting_for_a_place_is_no_part_of_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "MODULE", "tests.unit.sites.captive")
    monkeypatch.setattr("service.sites.reader._TOGETHER", 1)
    begun: list[bool] = []

    @asynccontextmanager
    async def reading() -> AsyncIterator[None]:
        begun.append(True)
        yield

    reader = PageReader(["Reddit"])
    first = asyncio.create_task(reader.find(["wait"], Web({}).send))
    await asyncio.sleep(0.1)
    second = asyncio.create_task(reader.find(["improper headers"], Web({}).send, reading()))
    await asyncio.sleep(0.3)
    assert not begun
    first.cancel()
    assert await second is not None
    assert begun


def test_without_yt_dlp_or_sites_there_is_no_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    assert PageReader.of(FetchSettings()) is not None
    assert PageReader.of(FetchSettings(sites=[])) is None
    monkeypatch.setitem(sys.modules, "yt_dlp", None)
    assert PageReader.of(FetchSettings()) is None
