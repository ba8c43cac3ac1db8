"""The page in a real browser: nothing against its policy, nothing from elsewhere, readable by all.

``WEB_SCREENSHOTS`` names a folder for the screenshots; else they are among pytest's own.
"""

from __future__ import annotations

import os
import re
from importlib import metadata
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pytest
from playwright.async_api import Page, Route, expect

from service.api.page import POLICY
from service.settings import Settings
from tests.api.fakes import FakeEngine
from tests.api.served import TWO_MODELS
from tests.api.wire import served
from tests.security.server_process import ServerProcess
from tests.web.browser import PATIENCE, Visits
from tests.web.fake_api import FakeApi, analyse, example, finished, problem

pytestmark = pytest.mark.asyncio(loop_scope="session")

WIDTHS = {390: 844, 1280: 800}
"""Widths of a phone and a desktop with their heights, pixels."""

SCHEMES = ("light", "dark")
GRAVE = ("serious", "critical")


async def test_it_loads_with_nothing_against_its_policy_and_nothing_from_elsewhere(
    visits: Visits, swift: str
) -> None:
    page = await visits.blank(f"{swift}/")
    statuses: dict[str, int] = {}
    page.on("response", lambda answer: statuses.update({answer.url: answer.status}))
    await page.goto(f"{swift}/", wait_until="networkidle")
    await expect(page.locator("#file")).to_be_attached()
    await expect(page.locator("h1")).not_to_be_empty()
    assert f"{swift}/" in statuses
    assert {status for url, status in statuses.items() if "/v1/" not in url} == {200}
    assert await page.evaluate("document.cookie + localStorage.length + sessionStorage.length") == (
        "00"
    )
    assert await page.context.cookies() == []


async def test_a_second_visit_asks_and_is_told_that_nothing_changed(
    visits: Visits, swift: str
) -> None:
    """What the browser kept must not lose its policy on the way."""

    def answered(route: str, status: int) -> float:
        text = httpx.get(f"{swift}/metrics").text
        route = re.escape(route)
        pattern = rf"http_requests_total\{{.*route=\"{route}\",status=\"{status}\"}} (.*)"
        return sum(map(float, re.findall(pattern, text)))

    page = await visits.open(f"{swift}/", color_scheme="light")
    await page.wait_for_load_state("networkidle")
    before, parts = answered("/", 304), answered("/page/{version}/{name}", 200)
    assert parts > 0
    await page.goto(f"{swift}/?", wait_until="networkidle")
    await page.goto(f"{swift}/", wait_until="networkidle")
    assert answered("/", 304) > before
    # They are of this release, and asked for once.
    assert answered("/page/{version}/{name}", 200) == parts
    await expect(page.locator("#analyse")).to_be_visible()


async def test_a_page_whose_scripts_stay_away_says_so(visits: Visits, swift: str) -> None:
    """As they do where the service is renewed between the page and them."""
    page = await visits.blank(f"{swift}/")
    await page.route("**/page.js", lambda route: route.fulfill(status=404, body=""))
    await page.goto(f"{swift}/")
    await expect(page.locator("#unloaded")).to_be_visible()
    assert len(await visits.complaints()) == 1, "the browser tells of the missing file"
    await page.unroute("**/page.js")
    await page.reload(wait_until="networkidle")
    await expect(page.locator("#unloaded")).to_have_count(0)


async def test_under_a_prefix_it_asks_for_nothing_beside_it(visits: Visits) -> None:
    prefix = "/a/b"
    with served(Settings(root_path=prefix), FakeEngine(readiness=TWO_MODELS)) as port:
        url = f"http://127.0.0.1:{port}{prefix}"
        page = await visits.blank(url)
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        await page.goto(url, wait_until="networkidle")
        await analyse(page, b"a video")
        await expect(page.locator("#verdict")).to_have_attribute("data-verdict", "fake")
        assert page.url == f"{url}/"
    local = [each for each in asked if each.startswith("http")]
    assert any("/page/" in each for each in local)
    assert any("/v1/detections" in each for each in local)
    assert all(each.startswith(f"{url}/") for each in local if each != url), local


async def test_the_browser_plays_the_film_from_the_persons_own_file(
    visits: Visits, swift: str, film: bytes
) -> None:
    page = await visits.open(f"{swift}/")
    await page.set_input_files(
        "#file", files=[{"name": "film.mp4", "mimeType": "video/mp4", "buffer": film}]
    )
    video = page.locator("#video")
    await expect(video).to_have_js_property("videoWidth", 320)
    await expect(video).to_have_js_property("error", None)
    assert str(await video.evaluate("video => video.currentSrc")).startswith("blob:")


WRONG = {
    "<script>document.title = 1</script>": "against the policy: script-src-elem inline",
    "<p style='color: red'>a</p>": "against the policy: style-src-attr inline",
    "<img src=x onerror='document.title = 1'>": "against the policy: script-src-attr inline",
    "<script src='/page/said.js'></script>": "in the console: said",
    "<script src='/page/wrong.js'></script>": "uncaught: wrong",
    "<img src='http://127.0.0.2:9/a.png'>": "to another origin: http://127.0.0.2:9/a.png",
}


async def test_what_a_page_does_wrong_is_noticed(visits: Visits, swift: str) -> None:
    """By the fixture that all these tests rest on."""
    policy = {"Content-Security-Policy": POLICY}

    async def first(route: Route) -> None:
        await route.fulfill(
            body=f"<!doctype html><body>{''.join(WRONG)}", content_type="text/html", headers=policy
        )

    async def script(route: Route) -> None:
        said = "said.js" in route.request.url
        body = "console.error('said')" if said else "throw new Error('wrong')"
        await route.fulfill(body=body, content_type="text/javascript")

    page = await visits.blank(f"{swift}/")
    await page.route(f"{swift}/", first)
    await page.route("**/page/*.js", script)
    await page.route("**/x", lambda route: route.abort())
    await page.goto(f"{swift}/", wait_until="networkidle")
    complaints = await visits.complaints()
    for wanted in WRONG.values():
        assert any(wanted in each for each in complaints), complaints


async def test_markup_made_of_text_is_refused_by_the_browser_itself(
    visits: Visits, swift: str
) -> None:
    """Were it ever tried: the policy asks for types that nothing can make."""
    page = await visits.open(f"{swift}/")
    tried = "() => { try { document.body.innerHTML = '<b>' } catch (error) { return error.name } }"
    assert await page.evaluate(tried) == "TypeError"
    assert any("require-trusted-types-for" in each for each in await visits.complaints())


def axe() -> str:
    """The program that judges accessibility, from the files of a package that is not imported."""
    package = metadata.distribution("axe-playwright-python")
    return Path(str(package.locate_file("axe_playwright_python/axe.min.js"))).read_text()


async def grave(page: Page) -> list[str]:
    """Serious and critical violations that axe-core finds on a page."""
    found: list[dict[str, Any]] = await page.evaluate(
        "async () => (await axe.run(document, { resultTypes: ['violations'] })).violations"
    )
    return [
        f"{each['id']}: {node['html']} {node['failureSummary']}"
        for each in found
        if each["impact"] in GRAVE
        for node in each["nodes"]
    ]


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_axe_finds_nothing_grave_in_any_state(
    visits: Visits, swift: str, dull: bytes, scheme: str
) -> None:
    # The judge is code from elsewhere, which the page's policy is there to refuse.
    page = await visits.open(
        f"{swift}/", color_scheme=scheme, reduced_motion="reduce", bypass_csp=True
    )
    await page.evaluate(axe())
    fake = FakeApi(page)
    await fake.attach()
    states = {"at first": await grave(page)}
    fake.answers(problem("busy", retry_after=7))
    await analyse(page, dull)
    await expect(page.locator("#problem")).to_be_visible()
    states["with a problem"] = await grave(page)
    fake.answers(finished(example()))
    await page.reload()
    await page.evaluate(axe())
    await analyse(page, dull)
    await expect(page.locator("#verdict")).to_have_attribute("data-verdict", "fake")
    states["with a result"] = await grave(page)
    assert states == {state: [] for state in states}


async def test_axe_finds_what_is_wrong(visits: Visits, swift: str) -> None:
    page = await visits.open(f"{swift}/", bypass_csp=True)
    await page.evaluate(axe())
    await page.evaluate("document.querySelector('html').removeAttribute('lang')")
    assert any(each.startswith("html-has-lang") for each in await grave(page))


@pytest.fixture(scope="session")
def album(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the screenshots."""
    named = os.environ.get("WEB_SCREENSHOTS")
    folder = Path(named) if named else tmp_path_factory.mktemp("screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.mark.parametrize("width", WIDTHS)
async def test_screenshots_show_a_result_at_every_width_in_light_and_dark(
    visits: Visits, service: ServerProcess, film: bytes, album: Path, width: int
) -> None:
    page = await visits.open(
        f"{service.url}/",
        viewport={"width": width, "height": WIDTHS[width]},
        reduced_motion="reduce",
    )
    shots = {"first": await shot(page, album, f"first-{width}", SCHEMES)}
    await analyse(page, film)
    verdict = page.locator("#verdict")
    await expect(verdict).to_have_attribute(
        "data-verdict", re.compile("fake|real|uncertain"), timeout=2 * PATIENCE
    )
    await expect(page.locator("button.segment").first).to_be_visible()
    shots["result"] = await shot(page, album, f"result-{width}", SCHEMES)
    wide = await page.evaluate("document.documentElement.scrollWidth")
    assert wide <= width, "it must not scroll sideways"
    for state, (light, dark) in shots.items():
        assert light.shape[1] == dark.shape[1] == width
        for picture in (light, dark):
            assert picture.std() > 8, f"{state} is blank"
        assert light.mean() > 150 > 100 > dark.mean(), f"{state} is not light and dark"


async def shot(page: Page, album: Path, name: str, schemes: tuple[str, ...]) -> list[np.ndarray]:
    """The whole page in each colour scheme, kept in the album; uint8 (H, W, 3)."""
    pictures = []
    for scheme in schemes:
        await page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        file = album / f"{name}-{scheme}.png"
        await page.screenshot(path=file, full_page=True)
        print(f"kept {file}")
        pictures.append(np.asarray(cv2.imread(str(file))))
    return pictures
