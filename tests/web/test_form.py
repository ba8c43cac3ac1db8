"""What a person gives the page, and what it makes of that."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

import pytest
from playwright.async_api import expect

from service.settings import FetchSettings, Limits, Settings
from tests.api.fakes import FakeEngine
from tests.api.served import TWO_MODELS
from tests.api.wire import served
from tests.web.browser import Visits
from tests.web.fake_api import FakeApi, analyse, example, finished, give_key, problem
from tests.web.reports import with_a_result

pytestmark = pytest.mark.asyncio(loop_scope="session")


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
    await give_key(api.page, "dfk_SECRET")
    page = await with_a_result(api, film)
    asked = api.asked[-1]
    assert (await asked.all_headers())["x-api-key"] == "dfk_SECRET"
    assert "SECRET" not in asked.url
    assert "SECRET" not in await page.locator("body").inner_text()
    assert "$DEEPFAKE_KEY" in await page.locator("#curl").inner_text()


async def test_a_service_that_wants_a_key_is_told_apart(api: FakeApi, film: bytes) -> None:
    api.answers(problem("unauthorized"))
    await analyse(api.page, film)
    await expect(api.page.locator("#problem")).to_contain_text("asks for an API key")
    await expect(api.page.locator("#key")).to_be_focused()


@pytest.mark.parametrize(
    ("since", "until", "asked"),
    [
        ("", "", {}),
        ("0:01", "", {"start": "1"}),
        ("", "1,5", {"end": "1.5"}),
        (" 0:00:00.25 ", "0:01", {"start": "0.25", "end": "1"}),
    ],
)
async def test_a_part_is_asked_for_in_seconds(
    api: FakeApi, film: bytes, since: str, until: str, asked: dict[str, str]
) -> None:
    await api.page.fill("#from", since)
    await api.page.fill("#to", until)
    page = await with_a_result(api, film)
    query = dict(parse_qsl(urlsplit(api.asked[-1].url).query))
    assert {name: query[name] for name in ("start", "end") if name in query} == asked
    command = await page.inner_text("#curl")
    assert all(f"{name}={value}" in command for name, value in asked.items())


@pytest.mark.parametrize(
    ("since", "until"),
    [
        ("soon", ""),
        ("", "-1"),
        ("1:00", "0:30"),
        ("", "0"),
        ("1", "1"),
        ("1:2:3:4", ""),
        ("0:02", ""),
    ],
)
async def test_what_is_no_part_of_the_video_is_not_sent(
    api: FakeApi, film: bytes, since: str, until: str
) -> None:
    """The film lasts two seconds."""
    api.answers(finished(example()))
    await api.page.fill("#from", since)
    await api.page.fill("#to", until)
    await analyse(api.page, film)
    await expect(api.page.locator("#problem")).to_have_text("The video has no such part.")
    await expect(api.page.locator("#way")).to_contain_text("1:30")
    await expect(api.page.locator("#from")).to_be_focused()
    assert api.asked == []


async def test_where_only_the_service_can_know_it_is_told_the_same(api: FakeApi) -> None:
    api.answers(problem("malformed_request"))
    await api.page.fill("#from", "2:00")
    await analyse(api.page, b"no browser plays this")
    await expect(api.page.locator("#problem")).to_have_text("The video has no such part.")
    await api.page.fill("#from", "")
    await api.page.click("#analyse")
    await expect(api.page.locator("#problem")).to_contain_text("could not make sense")
