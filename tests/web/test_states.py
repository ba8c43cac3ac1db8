"""What the page keeps, shows and forgets between one thing that a person does and the next."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.async_api import Page, Route, expect

from service.settings import Settings
from tests.api.fakes import SEGMENT, FakeEngine
from tests.api.served import TWO_MODELS
from tests.api.wire import served
from tests.web.browser import Visits
from tests.web.fake_api import (
    FakeApi,
    analyse,
    choose,
    example,
    finished,
    give_key,
    problem,
    progress,
    stream,
)

pytestmark = pytest.mark.asyncio(loop_scope="session")

HOUR = 3600
MODELS = {"default": "m1", "models": [{"name": "m1"}, {"name": "m2"}], "ensembles": []}
LIMITED = problem("busy", retry_after=3 * HOUR)


def held(gate: asyncio.Event, answer: dict[str, Any]) -> Callable[[Route], Awaitable[None]]:
    """Answers a request once the gate is open."""

    async def handle(route: Route) -> None:
        await gate.wait()
        await route.fulfill(**answer)

    return handle


async def counting_down(page: Page) -> None:
    """The service's time to wait shows, and is not over."""
    await expect(page.locator("#problem")).to_contain_text("all the work that it can hold")
    await expect(page.locator("#retry")).to_be_visible()
    await expect(page.locator("#retry")).to_be_disabled()


async def test_what_comes_late_leaves_another_trouble_alone(
    visits: Visits, swift: str, dull: bytes
) -> None:
    page = await visits.blank(f"{swift}/")
    gate = asyncio.Event()
    await page.route("**/v1/models", held(gate, {"json": MODELS}))
    await page.goto(f"{swift}/")
    api = FakeApi(page)
    await api.attach()
    api.answers(LIMITED)
    await analyse(page, dull)
    await counting_down(page)
    gate.set()
    await expect(page.locator("#model option")).to_have_count(2)
    await counting_down(page)
    # Nor does trouble that comes late take its place.
    await page.unroute("**/v1/models")
    await page.route("**/v1/models", lambda route: route.fulfill(status=500, body=""))
    async with page.expect_response("**/v1/models"):
        await give_key(page, "dfk_other")
    await counting_down(page)


async def test_a_service_that_is_met_after_all_is_trouble_no_more(
    visits: Visits, swift: str
) -> None:
    page = await visits.blank(f"{swift}/")
    await page.route("**/v1/models", lambda route: route.fulfill(status=500, body=""))
    await page.goto(f"{swift}/")
    await expect(page.locator("#problem")).to_be_visible()
    await page.unroute("**/v1/models")
    await give_key(page, "dfk_other")
    await expect(page.locator("#problem")).to_be_hidden()


async def test_an_answer_to_a_key_that_was_replaced_counts_no_more(
    visits: Visits, swift: str
) -> None:
    page = await visits.blank(f"{swift}/")
    gate = asyncio.Event()

    async def handle(route: Route) -> None:
        if "x-api-key" not in route.request.headers:
            await gate.wait()
            await route.fulfill(status=500, body="")
        else:
            await route.fulfill(json=MODELS)

    await page.route("**/v1/models", handle)
    await page.goto(f"{swift}/")
    await give_key(page, "dfk_key")
    await expect(page.locator("#model option")).to_have_count(2)
    async with page.expect_response(lambda answer: answer.status == 500):
        gate.set()
    # What the page does with the answer, it does before it answers this.
    await page.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")
    await expect(page.locator("#problem")).to_be_hidden()


async def test_no_button_sends_before_the_time_that_the_service_names(
    visits: Visits, swift: str, dull: bytes
) -> None:
    page = await visits.blank(f"{swift}/")
    await page.clock.install()
    await page.goto(f"{swift}/")
    api = FakeApi(page)
    await api.attach()
    api.answers(LIMITED, finished(example()))
    await analyse(page, dull)
    await counting_down(page)
    await page.click("#analyse")
    await expect(page.locator("#status")).to_contain_text("the service asks to wait")
    await choose(page, dull, "another.mp4")
    await counting_down(page)
    await page.clock.fast_forward(2 * HOUR * 1000)
    await counting_down(page)
    await page.click("#analyse")
    await expect(page.locator("#status")).to_contain_text("the service asks to wait")
    assert len(api.asked) == 1
    await page.clock.fast_forward(HOUR * 1000)
    await expect(page.locator("#retry")).to_be_enabled()
    await page.click("#analyse")
    await expect(page.locator("#verdict")).to_be_visible()
    await expect(page.locator("#problem")).to_be_hidden()
    assert len(api.asked) == 2


async def test_the_caution_stays_while_the_finding_of_the_demonstration_shows(
    visits: Visits, swift: str, dull: bytes
) -> None:
    page = await visits.blank(f"{swift}/")
    api = FakeApi(page)
    await api.attach()
    named = [{"name": "clrnet-demo"}, {"name": "other"}]
    await api.lists("/v1/models", {"default": "clrnet-demo", "models": named, "ensembles": []})
    await page.goto(f"{swift}/")
    caution = page.locator("#caution")
    await expect(caution).to_be_visible()
    report = example()
    report["model"]["name"] = "clrnet-demo"
    api.answers(finished(report))
    await analyse(page, dull)
    await expect(page.locator("#verdict")).to_be_visible()
    await page.select_option("#model", "other")
    await expect(caution).to_be_visible()
    await page.emulate_media(media="print")
    await expect(caution).to_be_visible()
    await page.emulate_media(media="screen")
    await choose(page, dull, "another.mp4")
    await expect(caution).to_be_hidden()


_SLOW = """() => {
  const { set } = Object.getOwnPropertyDescriptor(HTMLMediaElement.prototype, "src");
  const waiting = [];
  Object.defineProperty(HTMLMediaElement.prototype, "src", {
    set(url) { waiting.push(() => set.call(this, url)); },
  });
  window.play = () => waiting.forEach((go) => go());
}"""


async def test_a_browser_that_is_slow_to_play_gets_every_picture_in_the_end(
    visits: Visits, swift: str, film: bytes
) -> None:
    page = await visits.open(f"{swift}/")
    await page.evaluate(_SLOW)
    api = FakeApi(page)
    await api.attach()
    report = example()
    for each in report["faces"][0]["segments"]:
        each |= {"start": 0.0, "end": 1.0, "box": [60.0, 60.0, 140.0, 160.0]}
    api.answers(finished(report))
    await analyse(page, film)
    await expect(page.locator("#verdict")).to_be_visible()
    assert "explain=true" in api.asked[0].url
    # Nobody knows yet how many boxes that would be.
    assert "detail=full" not in api.asked[0].url
    await expect(page.locator(".thumb:visible")).to_have_count(0)
    await page.evaluate("play()")
    await expect(page.locator(".thumb:visible")).to_have_count(len(report["faces"]))


_INK = """() => [...document.querySelectorAll("#differences canvas")].map((canvas) =>
  canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.some(Boolean))"""


async def test_frames_of_one_video_do_not_stay_under_the_next(
    api: FakeApi, film: bytes, dull: bytes
) -> None:
    page = api.page
    report = example()
    report["media"] |= {"width": 320, "height": 240, "duration": 2.0, "fps": 25.0}
    for each in report["faces"][0]["segments"]:
        each |= {"start": 0.0, "end": 1.0, "box": [60.0, 60.0, 140.0, 160.0]}
    api.answers(finished(report))
    await analyse(page, film)
    await page.locator("button.segment").first.click()
    await page.check("#difference")
    await expect(page.locator("#difference-words")).to_contain_text("8 times brighter")
    assert all(await page.evaluate(_INK))
    await choose(page, dull, "another.mp4")
    assert not any(await page.evaluate(_INK))
    api.answers(finished(example(verdict="no_face", score=None, raw_score=None, faces=[])))
    await page.click("#analyse")
    await expect(page.locator("#verdict")).to_have_attribute("data-verdict", "no_face")
    await expect(page.locator("#difference-words")).to_contain_text("Choose a segment")
    assert not any(await page.evaluate(_INK))


@pytest.mark.parametrize("way", ["cancelled", "failed"])
async def test_what_was_stopped_does_not_look_as_if_it_went_on(
    visits: Visits, dull: bytes, way: str
) -> None:
    error = {"event": "error", "problem": json.loads(str((problem("internal") or {})["body"]))}
    piece = {"event": "segment", "face": 1, "segment": example()["faces"][0]["segments"][0]}
    engine = FakeEngine(readiness=TWO_MODELS, told=[SEGMENT], gate=threading.Event())
    with served(Settings(), engine) as port:
        page = await visits.open(f"http://127.0.0.1:{port}/")
        score = page.locator(".lane-score")
        if way == "failed":
            api = FakeApi(page)
            await api.attach()
            # All at once: sooner than the page draws what comes.
            api.answers(stream(progress(), piece, error))
            await analyse(page, dull)
        else:
            await analyse(page, dull)
            await expect(score).to_have_text("being scored")
            await page.click("#cancel")
            await expect(page.locator("#status")).to_contain_text("The connection is closed")
        await expect(score).to_have_text("not finished")
        lane = page.locator(".lane")
        await expect(lane).to_have_attribute("aria-label", re.compile(": not finished$"))


async def test_what_was_stopped_before_anything_was_scored_draws_no_timeline(
    api: FakeApi, dull: bytes
) -> None:
    api.answers(problem("undecodable"))
    await analyse(api.page, dull)
    await expect(api.page.locator("#problem")).to_be_visible()
    await expect(api.page.locator("#timeline")).to_be_hidden()


async def test_a_file_can_be_chosen_once_more(api: FakeApi, dull: bytes, tmp_path: Path) -> None:
    page = api.page
    (tmp_path / "first.mp4").write_bytes(dull)
    async with page.expect_file_chooser() as asked:
        await page.click("#drop label")
    await (await asked.value).set_files(tmp_path / "first.mp4")
    await expect(page.locator("#file-name")).to_contain_text("first.mp4")
    async with page.expect_file_chooser():
        await page.click("#drop label")
    # A browser tells of a choice that differs from what the field holds.
    assert await page.locator("#file").evaluate("(input) => input.files.length") == 0
    # Who chooses none after all keeps the one there was.
    await expect(page.locator("#file-name")).to_contain_text("first.mp4")
    api.answers(finished(example()))
    await page.click("#analyse")
    await expect(page.locator("#verdict")).to_be_visible()


async def test_the_focus_is_never_lost(visits: Visits, swift: str, dull: bytes) -> None:
    page = await visits.open(f"{swift}/")
    analysis = page.locator("#analyse")
    for answer, after in (
        (finished(example()), "#verdict-heading"),
        (problem("undecodable"), "#analyse"),
        (problem("internal"), "#retry"),
        (problem("unauthorized"), "#key"),
        (problem("busy", retry_after=HOUR), "#analyse"),
    ):
        gate = asyncio.Event()
        await page.route("**/v1/detections?*", held(gate, answer or {}))
        await choose(page, dull)
        await analysis.focus()
        await page.keyboard.press("Enter")
        await expect(page.locator("#cancel")).to_be_focused()
        gate.set()
        await expect(page.locator(after)).to_be_focused()
        await page.unroute("**/v1/detections?*")


async def test_who_reads_elsewhere_meanwhile_stays_there(
    visits: Visits, swift: str, dull: bytes
) -> None:
    page = await visits.open(f"{swift}/")
    gate = asyncio.Event()
    await page.route("**/v1/detections?*", held(gate, finished(example()) or {}))
    await analyse(page, dull)
    await expect(page.locator("#cancel")).to_be_focused()
    await page.locator("#api-docs").focus()
    gate.set()
    await expect(page.locator("#verdict")).to_be_visible()
    await expect(page.locator("#api-docs")).to_be_focused()


async def test_what_is_offered_is_asked_for_anew(swift: str) -> None:
    async with httpx.AsyncClient(base_url=swift) as session:
        whole = await session.get("/page/offers.json")
        head = await session.head("/page/offers.json")
    assert head.status_code == whole.status_code == 200
    assert head.headers["cache-control"] == whole.headers["cache-control"] == "no-cache"
    assert head.content == b""
