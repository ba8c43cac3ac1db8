"""What the page keeps, shows and forgets between one thing that a person does and the next."""

from __future__ import annotations

import asyncio
import copy
import json
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
        await page.fill("#key", "dfk_other")
        await page.press("#key", "Tab")
    await counting_down(page)


async def test_a_service_that_is_met_after_all_is_trouble_no_more(
    visits: Visits, swift: str
) -> None:
    page = await visits.blank(f"{swift}/")
    await page.route("**/v1/models", lambda route: route.fulfill(status=500, body=""))
    await page.goto(f"{swift}/")
    await expect(page.locator("#problem")).to_be_visible()
    await page.unroute("**/v1/models")
    await page.fill("#key", "dfk_other")
    await page.press("#key", "Tab")
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
    await page.fill("#key", "dfk_key")
    await page.press("#key", "Tab")
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
