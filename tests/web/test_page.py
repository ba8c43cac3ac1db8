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
from service.settings import Settings
from service.video.encode import encode_video
from tests import media
from tests.api.client import OCTETS
from tests.api.fakes import SEGMENT, FakeEngine
from tests.api.served import TWO_MODELS
from tests.api.wire import eventually, served
from tests.security.server_process import ServerProcess
from tests.web.browser import PATIENCE, Visits
from tests.web.fake_api import analyse
from tests.web.reports import INK

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
        inks.append(await overlay.evaluate(INK))
    await page.uncheck("#heat")
    assert len({*inks, await overlay.evaluate(INK)}) == 3


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
