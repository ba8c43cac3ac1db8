"""What a person does with the page, and sees, in a real browser."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import threading
from typing import Any

import cv2
import httpx
import numpy as np
import pytest
from playwright.async_api import Page, expect

from service.engine import Progress
from service.receipt import verify
from service.settings import FetchSettings, Limits, Settings
from service.video.encode import encode_video
from tests import media
from tests.api.client import OCTETS
from tests.api.fakes import SEGMENT, FakeEngine
from tests.api.served import TWO_MODELS
from tests.api.wire import eventually, served
from tests.security.server_process import ServerProcess
from tests.web.browser import PATIENCE, Visits
from tests.web.fake_api import FakeApi, analyse, example, finished, problem

pytestmark = pytest.mark.asyncio(loop_scope="session")

ASKED = {"sampling": "auto", "explain": "true", "detail": "full"}
"""What the page asks for of a file that the browser plays."""

_DROP = """([base64, name]) => {
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  const dataTransfer = new DataTransfer();
  dataTransfer.items.add(new File([bytes], name, { type: "video/mp4" }));
  for (const type of ["dragenter", "dragover", "drop"]) {
    const event = new DragEvent(type, { bubbles: true, cancelable: true, dataTransfer });
    document.querySelector("#drop").dispatchEvent(event);
  }
}"""

# What shows, in the order in which it came. What is drawn with the verdict came with it.
_DIARY = """() => {
  const diary = (window.diary = []);
  const note = (what) => { if (!diary.includes(what)) diary.push(what); };
  new MutationObserver(() => {
    const bar = document.querySelector("#progress");
    if (bar.getClientRects().length) note(bar.dataset.phase);
    const over = document.querySelector("#verdict").dataset.verdict;
    if (document.querySelector("button.segment") && !over) note("segment");
    if (over) note("verdict");
  }).observe(document.body, { subtree: true, childList: true, attributes: true });
}"""

_BEYOND = """() => [...document.querySelectorAll("body *")]
  .filter((element) => element.getBoundingClientRect().right > innerWidth + 1)
  .map((element) => element.outerHTML.slice(0, 100))"""

_INK = """(canvas) => {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return data.reduce((sum, level) => (sum * 31 + level) % 1000003, 0);
}"""


def cam(*levels: int) -> str:
    """A map of 2 x 2 places."""
    png = cv2.imencode(".png", np.array(levels, np.uint8).reshape(2, 2))[1]
    return base64.b64encode(png.tobytes()).decode()


def segment(start: float, score: float, verdict: str, levels: tuple[int, ...]) -> dict[str, Any]:
    """A second of a face in the upper left of ``film``."""
    return {
        "start": start,
        "end": start + 1,
        "start_frame": round(start * 25),
        "end_frame": round(start * 25) + 24,
        "score": score,
        "raw_score": score,
        "verdict": verdict,
        "box": [60.0, 60.0, 140.0, 160.0],
        "cam_png": cam(*levels),
    }


def two_faces() -> dict[str, Any]:
    """A report on ``film``."""
    report = example()
    face = report["faces"][0]
    first = [segment(0, 0.95, "fake", (255, 0, 0, 0)), segment(1, 0.2, "real", (0, 0, 0, 255))]
    second = [segment(0, 0.5, "uncertain", (0, 255, 0, 0))]
    report["faces"] = [
        face | {"id": 0, "score": 0.95, "start": 0.0, "end": 2.0, "segments": first},
        face | {"id": 4, "score": 0.5, "verdict": "uncertain", "end": 1.0, "segments": second},
    ]
    report["media"] |= {"width": 320, "height": 240, "duration": 2.0, "fps": 25.0, "frames": 50}
    report["coverage"] |= {"end": 2.0}
    return report


async def with_a_result(api: FakeApi, film: bytes, report: dict[str, Any] | None = None) -> Page:
    """The page after an analysis."""
    report = report or two_faces()
    api.answers(finished(report))
    await analyse(api.page, film)
    await expect(api.page.locator("#verdict")).to_have_attribute("data-verdict", report["verdict"])
    await expect(api.page.locator("#screen")).to_be_visible()
    return api.page


async def current_time(page: Page) -> float:
    """Where the video is, once it has gone where it was told to."""
    return float(
        await page.locator("#video").evaluate(
            """(video) => new Promise((tell) => {
                 const there = () => tell(video.currentTime);
                 if (!video.seeking) there();
                 else video.addEventListener("seeked", there, { once: true });
               })"""
        )
    )


async def test_a_dropped_video_gets_the_verdict_that_the_api_gives(
    page: Page, service: ServerProcess
) -> None:
    # So long that segments of it are drawn on the way.
    film = encode_video([frame[:240, :320] for frame in media.group_frames(100)])
    await page.evaluate(_DIARY)
    await page.evaluate(_DROP, [base64.b64encode(film).decode(), "film.mp4"])
    await expect(page.locator("#file-name")).to_contain_text("film.mp4")
    await expect(page.locator("#caution")).to_be_visible()
    await page.click("#analyse")
    verdict = page.locator("#verdict")
    await expect(verdict).to_be_visible(timeout=2 * PATIENCE)
    assert await page.evaluate("diary") == ["send", "look", "segment", "verdict"]
    async with httpx.AsyncClient(base_url=service.url, timeout=60) as session:
        answer = await session.post("/v1/detections", content=film, headers=OCTETS, params=ASKED)
    told = answer.json()
    assert await verdict.get_attribute("data-verdict") == told["verdict"]
    assert f"{told['score']:.3f}".rstrip("0") in await verdict.inner_text()
    shown = await page.locator("button.segment").evaluate_all(
        """(all) => all.map(({ dataset, parentElement }) => [
             parentElement.parentElement.dataset.face,
             Number(dataset.start), Number(dataset.end), Number(dataset.score)])"""
    )
    assert sorted(shown) == sorted(
        [str(face["id"]), each["start"], each["end"], pytest.approx(each["score"], abs=1e-6)]
        for face in told["faces"]
        for each in face["segments"]
    )
    await assert_maps(page, told["faces"][0])
    async with page.expect_download() as waited:
        await page.click("#download-json")
    report = json.loads((await (await waited.value).path()).read_bytes())
    assert report["verdict"] == told["verdict"]
    assert report["media"]["sha256"] == told["media"]["sha256"]
    async with page.expect_download() as waited:
        await page.click("#download-receipt")
    signed = verify((await (await waited.value).path()).read_bytes())
    assert signed.media_sha256 == told["media"]["sha256"]
    assert signed.verdict == told["verdict"]


async def assert_maps(page: Page, face: dict[str, Any]) -> None:
    """The maps of a face's first and last segment are drawn, each its own."""
    overlay = page.locator("#overlay")
    await page.uncheck("#boxes")
    await page.check("#heat")
    inks = []
    for each in (face["segments"][0], face["segments"][-1]):
        png = np.frombuffer(base64.b64decode(each["cam_png"]), np.uint8)
        height, width = cv2.imdecode(png, cv2.IMREAD_GRAYSCALE).shape
        await page.click(f".lane[data-face='{face['id']}'] [data-start='{each['start']:g}']")
        await expect(page.locator("#heat-words")).to_contain_text(f"{width} × {height} places")
        await expect(overlay).to_have_attribute("data-heat", f"{face['id']}:{each['start']:g}")
        inks.append(await overlay.evaluate(_INK))
    await page.uncheck("#heat")
    assert len({*inks, await overlay.evaluate(_INK)}) == 3


async def test_what_is_scored_shows_before_the_end(visits: Visits, film: bytes) -> None:
    gate = threading.Event()
    engine = FakeEngine(readiness=TWO_MODELS, told=[Progress(5.0, 10.0, 9), SEGMENT], gate=gate)
    with served(Settings(), engine) as port:
        page = await visits.open(f"http://127.0.0.1:{port}/")
        await analyse(page, film)
        await expect(page.locator(".lane[data-face='1'] button.segment")).to_have_count(1)
        bar = page.locator("#progress")
        await expect(bar).to_have_attribute("data-phase", "look")
        await expect(bar).to_have_attribute("aria-valuenow", "50")
        await expect(page.locator("#verdict")).to_be_hidden()
        gate.set()
        await expect(page.locator("#verdict")).to_have_attribute("data-verdict", "fake")
        await expect(bar).to_be_hidden()


async def test_what_is_sent_shows_while_it_is_sent(visits: Visits) -> None:
    engine = FakeEngine(readiness=TWO_MODELS)
    with served(Settings(), engine) as port:
        page = await visits.blank(f"http://127.0.0.1:{port}/")
        await page.clock.install()
        await page.goto(f"http://127.0.0.1:{port}/")
        session = await page.context.new_cdp_session(page)
        slow = {
            "offline": False,
            "latency": 0,
            "downloadThroughput": -1,
            "uploadThroughput": 40_000,
        }
        await session.send("Network.enable")
        await session.send("Network.emulateNetworkConditions", slow)
        await page.clock.pause_at(await page.evaluate("Date.now() / 1000 + 60"))
        await analyse(page, bytes(4_000_000))
        # A second by the page's clock, which stands from here on, however slow the machine is.
        await page.clock.run_for(1000)
        bar = page.locator("#progress")
        await expect(bar).to_be_visible()
        await expect(bar).to_have_attribute("data-phase", "send")
        await expect(bar).to_have_attribute("aria-valuenow", re.compile("^[1-9][0-9]?$"))
        await expect(page.locator("#progress-text")).to_contain_text("of 4 MB")
        await page.click("#cancel")
        await expect(bar).to_be_hidden()
        await expect(page.locator("#analyse")).to_be_enabled()
        assert engine.asked == []


async def test_cancelling_stops_the_work_on_the_server(visits: Visits, film: bytes) -> None:
    engine = FakeEngine(
        readiness=TWO_MODELS, told=[Progress(5.0, 10.0, 9), SEGMENT], gate=threading.Event()
    )
    with served(Settings(), engine) as port:
        page = await visits.open(f"http://127.0.0.1:{port}/")
        await analyse(page, film)
        await expect(page.locator("button.segment")).to_have_count(1)
        await page.click("#cancel")
        await expect(page.locator("#status")).to_contain_text("Cancelled")
        assert await asyncio.to_thread(eventually, lambda: "cancelled" in engine.events)
        await expect(page.locator("#analyse")).to_be_enabled()
        await expect(page.locator("#problem")).to_be_hidden()
        await expect(page.locator("#verdict")).to_be_hidden()


async def test_a_segment_that_is_clicked_is_where_the_video_goes(api: FakeApi, film: bytes) -> None:
    page = await with_a_result(api, film)
    second = page.locator(".lane[data-face='0'] button.segment").nth(1)
    await second.click()
    # Away from the lane, over which the mouse shows moments by itself.
    await page.locator("h1").hover()
    assert 1 <= await current_time(page) < 2
    await expect(second).to_have_attribute("aria-current", "true")
    await page.locator("#moments button").first.click()
    assert 0 <= await current_time(page) < 1
    await expect(page.locator("[aria-current]")).to_have_attribute("data-score", "0.95")


async def test_the_mouse_shows_a_moment_and_goes_back(api: FakeApi, film: bytes) -> None:
    page = await with_a_result(api, film)
    await page.locator("#moments button").first.click()
    chosen = await current_time(page)
    second = page.locator(".lane[data-face='0'] button.segment").nth(1)
    await second.hover()
    await expect(page.locator("#seen")).to_contain_text("face 0, 0.20, likely real")
    assert 1 <= await current_time(page) < 2
    await page.locator("h1").hover()
    await expect(page.locator("#seen")).to_contain_text("face 0, 0.95, likely fake")
    assert await current_time(page) == pytest.approx(chosen, abs=1e-3)


async def test_keys_walk_along_a_lane_and_enter_goes_there(api: FakeApi, film: bytes) -> None:
    page = await with_a_result(api, film)
    segments = page.locator("button.segment")
    await segments.nth(0).focus()
    await page.keyboard.press("ArrowRight")
    await expect(segments.nth(1)).to_be_focused()
    await expect(page.locator("#about")).to_contain_text(
        "0:01.0 to 0:02.0: score 0.20, likely real"
    )
    await page.keyboard.press("Enter")
    assert 1 <= await current_time(page) < 2
    await page.keyboard.press("ArrowDown")
    await expect(page.locator(".lane[data-face='4'] button.segment")).to_be_focused()
    await page.keyboard.press("Home")
    await page.keyboard.press("ArrowUp")
    await expect(segments.nth(0)).to_be_focused()
    # One stop of the tab key for each face.
    assert await page.locator("button.segment[tabindex='0']").count() == 2


async def test_the_map_is_that_of_the_chosen_segment(api: FakeApi, film: bytes) -> None:
    page = await with_a_result(api, film)
    overlay = page.locator("#overlay")
    first, second = (page.locator(".lane[data-face='0'] button.segment").nth(n) for n in (0, 1))
    await page.uncheck("#boxes")
    await first.click()
    await current_time(page)
    plain = await overlay.evaluate(_INK)
    await page.check("#heat")
    await expect(overlay).to_have_attribute("data-heat", "0:0")
    await expect(page.locator("#heat-words")).to_contain_text("2 × 2 places")
    of_first = await overlay.evaluate(_INK)
    await second.click()
    await expect(overlay).to_have_attribute("data-heat", "0:1")
    of_second = await overlay.evaluate(_INK)
    assert len({plain, of_first, of_second}) == 3
    await page.uncheck("#heat")
    await expect(overlay).not_to_have_attribute("data-heat", re.compile(""))
    assert await overlay.evaluate(_INK) == plain


async def test_boxes_carry_the_score_of_the_moment(api: FakeApi, film: bytes) -> None:
    page = await with_a_result(api, film)
    await page.locator("button.segment").nth(0).click()
    await expect(page.locator("#overlay")).to_have_attribute("data-boxes", "2")
    await expect(page.locator("#seen")).to_contain_text("face 0, 0.95, likely fake; face 4, 0.50")
    await page.locator("button.segment").nth(1).click()
    await expect(page.locator("#overlay")).to_have_attribute("data-boxes", "1")
    await expect(page.locator("#seen")).to_contain_text("face 0, 0.20, likely real")
    await page.uncheck("#boxes")
    await expect(page.locator("#overlay")).to_have_attribute("data-boxes", "0")


async def test_two_frames_and_their_difference_are_drawn(api: FakeApi, film: bytes) -> None:
    page = await with_a_result(api, film)
    await page.locator("button.segment").nth(0).click()
    await page.check("#difference")
    await expect(page.locator("#difference-words")).to_contain_text("8 times brighter")
    inks = [await page.locator(f"#frame-{each}").evaluate(_INK) for each in ("first", "second")]
    assert inks[0] != inks[1]
    levels = await page.locator("#frame-change").evaluate(
        """(canvas) => {
             const { data } = canvas.getContext("2d").getImageData(0, 0, 240, 240);
             const colours = data.filter((_, at) => at % 4 < 3);
             return [colours.reduce((most, level) => Math.max(most, level)), data[3]];
           }"""
    )
    assert levels[0] > 0
    assert levels[1] == 255


async def test_faces_have_pictures_from_the_persons_own_file(api: FakeApi, film: bytes) -> None:
    page = await with_a_result(api, film)
    thumbs = page.locator(".thumb:visible")
    await expect(thumbs).to_have_count(2)
    assert await thumbs.first.evaluate(_INK)


async def test_without_a_picture_the_timeline_stands(api: FakeApi) -> None:
    api.answers(finished(two_faces()))
    await analyse(api.page, b"no browser plays this")
    await expect(api.page.locator("#verdict")).to_be_visible()
    await expect(api.page.locator("#no-video")).to_contain_text("cannot play this file")
    await expect(api.page.locator("button.segment")).to_have_count(3)
    await api.page.fill("#url", "https://example.org/video.mp4")
    await api.page.click("#analyse")
    await expect(api.page.locator("#no-video")).to_contain_text("visits no other site")
    await expect(api.page.locator("button.segment")).to_have_count(3)
    assert json.loads(api.asked[-1].post_data or "") == {"url": "https://example.org/video.mp4"}
    await api.page.locator("button.segment").nth(1).click()
    await expect(api.page.locator("#playhead")).to_have_attribute("style", re.compile("left: 50%"))


async def test_a_report_of_any_size_is_drawn_within_bounds(api: FakeApi, film: bytes) -> None:
    report = two_faces()
    face = report["faces"][0]
    pieces = [
        face["segments"][0] | {"start": n / 100, "end": (n + 1) / 100, "score": n % 100 / 100}
        for n in range(200)
    ]
    report["faces"] = [face | {"id": n, "segments": pieces} for n in range(45)]
    page = await with_a_result(api, film, report)
    assert await page.locator(".lane").count() == 40
    assert await page.locator("button.segment").count() <= 3000
    await expect(page.locator("#timeline-note")).to_contain_text("5 less suspicious faces")
    # The worst of those that are drawn as one.
    assert await page.locator("button.segment[data-score='0.99']").count() > 40


async def test_whatever_parts_a_report_lacks_it_is_shown(api: FakeApi, film: bytes) -> None:
    for name in two_faces():
        report = two_faces()
        del report[name]
        api.answers(finished(report | {"faces": report.get("faces", [])}))
        await analyse(api.page, film)
        await expect(api.page.locator("#verdict")).to_be_visible()
        text = await api.page.locator("body").inner_text()
        assert not re.search(r"undefined|NaN|\[object|Infinity", text), name


async def test_it_prints_on_one_page(api: FakeApi, film: bytes) -> None:
    report = two_faces()
    report["faces"] = [report["faces"][0] | {"id": number} for number in range(12)]
    report["reasons"] = ["One more sentence on what a reader of this must know."] * 10
    name = "real faces of one more set of data called fake"
    rate = {"name": name, "value": 0.1234, "data": "some people", "low": 0.1, "high": 0.2}
    report["model"] |= {"metrics": [rate] * 30, "trained_on": "many videos " * 30}
    report["operating_point"] |= {"calibration": "found in some way " * 30}
    page = await with_a_result(api, film, report)
    await page.emulate_media(media="print")
    await expect(page.locator("#verdict")).to_be_visible()
    await expect(page.locator("button.segment").first).to_be_visible()
    await expect(page.locator("#form")).to_be_hidden()
    await page.evaluate("dispatchEvent(new Event('beforeprint'))")
    await expect(page.locator("#print-source")).to_have_text("File: video.mp4")
    pdf = await page.pdf(prefer_css_page_size=True)
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) == 1


async def test_what_the_service_would_refuse_for_its_size_is_not_sent(
    visits: Visits, film: bytes
) -> None:
    engine = FakeEngine(readiness=TWO_MODELS)
    with served(Settings(limits=Limits(bytes=1000)), engine) as port:
        page = await visits.open(f"http://127.0.0.1:{port}/")
        await page.wait_for_load_state("networkidle")
        await analyse(page, film)
        await expect(page.locator("#problem")).to_contain_text("takes 1 KB at most")
        assert engine.asked == []


async def test_only_what_the_service_has_is_offered(visits: Visits) -> None:
    closed = Settings(fetch=FetchSettings(enabled=False))
    with served(closed, FakeEngine(readiness=TWO_MODELS)) as port:
        page = await visits.open(f"http://127.0.0.1:{port}/")
        await expect(page.locator("#url")).to_be_hidden()
        await expect(page.locator("#offer-receipt")).to_be_hidden()
        await expect(page.locator("#model option")).to_have_text(
            ["clrnet", "mesonet", "both (several models) (default)"]
        )
        # Neither of them is a demonstration.
        await expect(page.locator("#caution")).to_be_hidden()


async def test_a_key_goes_into_the_header_and_nowhere_else(api: FakeApi, film: bytes) -> None:
    await api.page.fill("#key", "dfk_SECRET")
    page = await with_a_result(api, film)
    asked = api.asked[-1]
    assert (await asked.all_headers())["x-api-key"] == "dfk_SECRET"
    assert "SECRET" not in asked.url
    assert "SECRET" not in await page.locator("body").inner_text()
    assert "$DEEPFAKE_KEY" in await page.locator("#curl").inner_text()


async def test_a_phone_need_not_scroll_sideways(api: FakeApi, film: bytes) -> None:
    width = 320
    await api.page.set_viewport_size({"width": width, "height": 700})
    page = await with_a_result(api, film)
    await page.check("#difference")
    assert await page.evaluate("document.documentElement.scrollWidth") <= width
    # What is cut off does not scroll either.
    assert await page.evaluate(_BEYOND) == []


async def test_a_service_that_wants_a_key_is_told_apart(api: FakeApi, film: bytes) -> None:
    api.answers(problem("unauthorized"))
    await analyse(api.page, film)
    await expect(api.page.locator("#problem")).to_contain_text("asks for an API key")
    await expect(api.page.locator("#key")).to_be_focused()
