"""Paper holds one page, whatever was found, and says what it is of and what it leaves out."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.web.browser import Visits
from tests.web.fake_api import FakeApi, analyse, choose, finished
from tests.web.reports import segment, two_faces, with_a_result
from tests.web.test_finding import ERRORS

pytestmark = pytest.mark.asyncio(loop_scope="session")

PAPER = {"width": 718, "height": 1046}
"""A4 within its margins, in pixels of CSS."""

LONG = "It goes on and on, and says one more thing that nobody can print in full. " * 12

_CUT = """(rows) => rows
  .filter((row) => row.scrollHeight > row.clientHeight + 1)
  .map((row) => row.textContent)"""


def eight_faces() -> dict[str, Any]:
    """A report with the forged face at its end, and more of everything than a page holds."""
    report = two_faces()
    face = report["faces"][0]
    report["faces"] = [
        face | {"id": n, "score": 0.5, "segments": [segment(n / 10, 0.5, "uncertain", (9,) * 4)]}
        for n in range(7)
    ]
    forged = segment(0.9, 0.95, "fake", (255, 0, 0, 0))
    report["faces"].append(face | {"id": 7, "score": 0.95, "segments": [forged]})
    report["reasons"] = [f"{n} is one more thing to know of this very video." for n in range(8)]
    report["model"]["metrics"] = [each | {"data": f"{n}"} for n in range(3) for each in ERRORS]
    report["coverage"] |= {
        "sampling": "stride=0.5",
        "faces_dropped": {"too_small": 3, "low_score": 4, "too_many": 5, "unconfirmed": 6},
        "clips_dropped": {"no_whole_clip": 3, "damaged_frame": 4, "face_not_in_every_frame": 5},
        "frames_damaged": 7,
        "seconds_missing": 8.5,
    }
    return report


def demonstrated() -> dict[str, Any]:
    """The same of the demonstration model, with long texts wherever there can be some."""
    report = eight_faces()
    report["model"] |= {"name": f"clrnet-demo-{'n' * 100}", "trained_on": LONG}
    report["model"]["metrics"] = [each | {"data": LONG} for each in report["model"]["metrics"]]
    report["operating_point"]["calibration"] = LONG
    report["reasons"] = [LONG] * 8
    return report


def together() -> dict[str, Any]:
    """The same of eight demonstration models, which disagree."""
    report = eight_faces()
    own = ({"name": f"clrnet-demo-{n}", "sha256": f"{n}" * 64} for n in range(8))
    members = [report["model"] | each for each in own]
    report["model"] = {"name": "all of them", "rule": "mean", "members": members}
    for face in report["faces"]:
        face["parts"] = [{"model": each["name"], "score": n / 8} for n, each in enumerate(members)]
    return report


@pytest.mark.parametrize(
    "report",
    [
        pytest.param(eight_faces(), id="a model"),
        pytest.param(demonstrated(), id="the demonstration"),
        pytest.param(together(), id="several"),
    ],
)
async def test_one_page_shows_the_most_suspicious_and_counts_the_rest(
    api: FakeApi, film: bytes, report: dict[str, Any]
) -> None:
    page = await with_a_result(api, film, report)
    await expect(page.locator(".lane:visible")).to_have_count(8)
    await expect(page.locator("#reasons li:visible")).to_have_count(8)
    await expect(page.locator("#timeline-note")).to_have_text("", use_inner_text=True)
    await expect(page.locator("#suspect")).to_be_visible()
    await page.set_viewport_size({"width": PAPER["width"], "height": PAPER["height"]})
    await on_paper(page)
    await expect(page.locator("#form")).to_be_hidden()
    await expect(page.locator(".lane:visible")).to_have_count(5)
    await expect(page.locator(".lane[data-face='7']")).to_be_visible()
    assert await shown(page, "#timeline-note") == (
        "3 less suspicious faces are not drawn. The JSON report holds all."
    )
    await expect(page.locator("#reasons li:visible")).to_have_count(4)
    assert "5 further things to know are in the JSON report." in await shown(page, "#reasons")
    await expect(page.locator("#moments button:visible")).to_have_count(4)
    assert "4 further moments are in the JSON report." in await shown(page, "#moments")
    assert re.search(r"\d+ further figures are in the JSON report.", await shown(page, "#rates"))
    assert "The JSON report also holds every clip" in await shown(page, "#print-short")
    models = report["model"].get("members", [report["model"]])
    hashes = await shown(page, "#hashes")
    assert all(each["sha256"] in hashes for each in (report["media"], *models[:3]))
    if len(models) > 3:
        assert "5 further models are in the JSON report" in await shown(page, ".basis-models")
    rows = page.locator(".basis-faces dd, .basis-clips dd, .basis-coverage dd, .basis-point dd")
    assert await rows.count() == 4
    assert await rows.evaluate_all(_CUT) == []
    await expect(page.locator(".basis-coverage")).to_contain_text("hold no pictures")
    demonstration = "demo" in models[0]["name"]
    await expect(page.locator("#caution:visible")).to_have_count(int(demonstration))
    assert await pages(page) == 1


async def test_paper_is_of_what_is_on_the_screen(visits: Visits, swift: str, film: bytes) -> None:
    page = await visits.open(f"{swift}/")
    made, source = page.locator("#print-made"), page.locator("#print-source")
    api = FakeApi(page)
    await api.attach()
    await on_paper(page)
    await expect(made).to_have_text("Nothing has been analysed.")
    await page.emulate_media(media="screen")
    await with_a_result(api, film, two_faces())
    await on_paper(page)
    await expect(made).to_contain_text(re.compile(r"^Analysed \d+ \w+ 20\d\d at .* by http"))
    await expect(source).to_have_text("File: video.mp4")
    await page.emulate_media(media="screen")
    await choose(page, film, "another.mp4")
    await on_paper(page)
    await expect(made).to_have_text("Nothing has been analysed.")
    await expect(source).to_have_text("")
    await page.emulate_media(media="screen")
    gate = asyncio.Event()
    answer = finished(two_faces()) or {}

    async def held(route: Any) -> None:
        await gate.wait()
        await route.fulfill(**answer)

    await page.route("**/v1/detections?*", held)
    await analyse(page, film, "another.mp4")
    await on_paper(page)
    await expect(made).to_have_text("Not finished: there is no finding.")
    await expect(source).to_have_text("File: another.mp4")
    await expect(page.locator("#print-short")).to_be_hidden()
    await page.emulate_media(media="screen")
    await page.click("#cancel")
    await on_paper(page)
    await expect(made).to_have_text("Not finished: there is no finding.")
    gate.set()


async def on_paper(page: Page) -> None:
    """Look at what would be printed."""
    await page.evaluate("dispatchEvent(new Event('beforeprint'))")
    await page.emulate_media(media="print")


async def pages(page: Page) -> int:
    """How many sheets it takes."""
    pdf = await page.pdf(prefer_css_page_size=True)
    return len(re.findall(rb"/Type\s*/Page\b", pdf))


async def shown(page: Page, selector: str) -> str:
    """What can be read there."""
    return (await page.locator(selector).inner_text()).strip()
