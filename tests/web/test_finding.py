"""The words of a finding claim no more than a report does, and paper says what it leaves out."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.web.fake_api import FakeApi
from tests.web.reports import segment, two_faces, with_a_result

pytestmark = pytest.mark.asyncio(loop_scope="session")

PAPER = {"width": 718, "height": 1046}
"""A4 within its margins, in pixels of CSS."""

_CUT = """(rows) => rows
  .filter((row) => row.scrollHeight > row.clientHeight + 1)
  .map((row) => row.textContent)"""

ERRORS = [
    {"name": "real faces called fake", "value": 0.1, "data": "some faces"},
    {"name": "forged faces called real", "value": 0.2, "data": "some faces"},
]


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


async def test_paper_shows_the_most_suspicious_and_counts_the_rest(
    api: FakeApi, film: bytes
) -> None:
    page = await with_a_result(api, film, eight_faces())
    await expect(page.locator(".lane:visible")).to_have_count(8)
    await expect(page.locator("#reasons li:visible")).to_have_count(8)
    await expect(page.locator("#timeline-note")).to_have_text("", use_inner_text=True)
    await page.set_viewport_size({"width": PAPER["width"], "height": PAPER["height"]})
    await page.emulate_media(media="print")
    await expect(page.locator(".lane:visible")).to_have_count(6)
    await expect(page.locator(".lane[data-face='7']")).to_be_visible()
    assert await shown(page, "#timeline-note") == (
        "2 less suspicious faces are not drawn. The JSON report holds all."
    )
    await expect(page.locator("#reasons li:visible")).to_have_count(6)
    assert "3 further things to know are in the JSON report." in await shown(page, "#reasons")
    await expect(page.locator("#moments button:visible")).to_have_count(5)
    assert "3 further moments are in the JSON report." in await shown(page, "#moments")
    assert "2 further figures are in the JSON report." in await shown(page, "#rates")
    rows = page.locator(".basis-faces dd, .basis-clips dd, .basis-coverage dd, .basis-point dd")
    assert await rows.count() == 4
    assert await rows.evaluate_all(_CUT) == []
    await expect(page.locator(".basis-coverage")).to_contain_text("hold no pictures")
    pdf = await page.pdf(prefer_css_page_size=True)
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) == 1


async def test_figures_of_members_are_not_those_of_an_ensemble(api: FakeApi, film: bytes) -> None:
    report = two_faces()
    model = report["model"]
    alone = report | {"model": model | {"metrics": ERRORS}}
    members = [model | {"name": name, "metrics": ERRORS} for name in ("one", "two")]
    page = await with_a_result(api, film, alone)
    heading, intro = page.locator("#rates-heading"), page.locator("#rates-intro")
    await expect(heading).to_have_text("How often this model is wrong")
    await expect(intro).to_contain_text("As its own card says")
    report["model"] = {"name": "both", "rule": "mean", "members": members}
    await with_a_result(api, film, report)
    await expect(intro).to_contain_text("Nobody has measured this combination")
    await expect(heading).to_have_text("How often its members are wrong alone")
    rate = page.locator("#rates li").first
    await expect(rate).to_contain_text("one: Of real faces it called 10%")
    report["model"] = report["model"] | {"members": [each | {"metrics": []} for each in members]}
    await with_a_result(api, film, report)
    await expect(intro).to_contain_text("name no error rates")


async def test_a_model_that_decides_nothing_is_not_shown_to_judge(
    api: FakeApi, film: bytes
) -> None:
    report = two_faces()
    report["verdict"] = "uncertain"
    report["operating_point"] |= {"abstain": "It is no better than chance."}
    for face in report["faces"]:
        face["verdict"] = "uncertain"
        for each in face["segments"]:
            each["verdict"] = "uncertain"
    page = await with_a_result(api, film, report)
    zones, legend = page.locator(".zone:visible"), page.locator(".legend li:visible")
    await expect(page.locator("#moments button")).to_have_count(0)
    await expect(page.locator("#moments-note")).to_contain_text("decides nothing")
    await expect(page.locator(".basis-point")).to_contain_text("decides nothing")
    await expect(page.locator(".basis-point")).not_to_contain_text("threshold")
    await expect(page.locator("#band-score")).to_be_visible()
    await expect(page.locator("#band")).to_have_attribute("aria-label", re.compile("no lines"))
    await expect(zones).to_have_count(0)
    await expect(page.locator("#band-low, #band-high").filter(visible=True)).to_have_count(0)
    await expect(page.locator(".lined")).to_have_count(0)
    await expect(legend).to_have_text(["uncertain"])
    await with_a_result(api, film)
    await expect(zones).to_have_count(3)
    await expect(legend).to_have_count(3)
    await expect(page.locator(".lined")).to_have_count(1)
    await expect(page.locator("#moments button")).to_have_count(2)


async def test_all_is_said_only_of_what_was_looked_at_whole(api: FakeApi, film: bytes) -> None:
    whole = {"sampling": "full", "faces_dropped": {}, "clips_dropped": {}}
    part = "0:00.0 to 0:02.0 of 2 s, sampling “full”"
    for changed, words in [
        ({}, "all 2 s, sampling “full”"),
        ({"faces_dropped": {"too_small": 3}}, part),
        ({"clips_dropped": {"damaged_frame": 1}}, part),
        ({"frames_damaged": 1}, part),
        ({"end": 1.0}, "0:00.0 to 0:01.0 of 2 s"),
        ({"sampling": "stride=2"}, "samples from 0:00.0 to 0:02.0 of 2 s, sampling “stride=2”"),
        ({"sampling": "paper"}, "samples from 0:00.0 to 0:02.0"),
    ]:
        report = two_faces()
        report["coverage"] |= whole | changed
        page = await with_a_result(api, film, report)
        await expect(page.locator(".basis-coverage dd")).to_have_text(
            re.compile(f"^{re.escape(words)}")
        )


async def shown(page: Page, selector: str) -> str:
    """What can be read there."""
    return (await page.locator(selector).inner_text()).strip()
