"""The words of a finding claim no more than a report does."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import expect

from tests.web.fake_api import FakeApi, example
from tests.web.reports import two_faces, with_a_result

pytestmark = pytest.mark.asyncio(loop_scope="session")

ERRORS = [
    {"name": "real faces called fake", "value": 0.1, "data": "some faces"},
    {"name": "forged faces called real", "value": 0.2, "data": "some faces"},
]


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
    # The worst comes first.
    rate = page.locator("#rates li").first
    await expect(rate).to_contain_text("one: It called 20% of forged faces real")
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


async def test_how_much_a_finding_rests_on_stands_beside_it(api: FakeApi, film: bytes) -> None:
    report = two_faces()
    report["media"] |= {"duration": 60.0}
    page = await with_a_result(api, film, report)
    weigh = page.locator("#verdict-weigh")
    await expect(weigh).to_contain_text("Face 0 was scored for 2 s of 60 s.")
    await expect(weigh).not_to_contain_text("very little")
    await expect(weigh).to_contain_text("Of 2 faces: likely fake 1, uncertain 1.")
    await expect(page.locator("#suspect")).to_be_visible()
    clip = {"start": 0.0, "end": 0.2, "score": 0.95, "raw_score": 0.95}
    report["faces"] = report["faces"][:1]
    for each in report["faces"][0]["segments"]:
        each["clips"] = [clip, clip]
    page = await with_a_result(api, film, report)
    await expect(weigh).to_contain_text("Face 0 was scored for 2 s of 60 s, in 4 clips.")
    await expect(weigh).to_contain_text("That is very little to go by. Look at face 0 first")
    await expect(weigh).to_contain_text("No other face was scored.")
    await expect(weigh).not_to_contain_text("were not looked at")
    report["coverage"]["faces_dropped"] = {"too_many": 84, "no_whole_clip": 2}
    page = await with_a_result(api, film, report)
    await expect(weigh).to_contain_text("Some faces were not looked at")
    await expect(page.locator(".basis-faces dd")).to_have_text(
        "1 scored, left out: too brief for a clip 2, "
        "left out, counted frame by frame: too many in a frame 84"
    )


async def test_samples_are_little_only_where_a_score_rests_on_few(
    api: FakeApi, film: bytes
) -> None:
    """A clip of five frames every two seconds lasts a fifth of a second."""
    report = two_faces()
    face = report["faces"][0]
    clip = {"start": 0.0, "end": 0.2, "score": 0.95, "raw_score": 0.95}
    weigh = api.page.locator("#verdict-weigh")
    for count, verdict, little in [(8, "fake", 0), (5, "fake", 1), (5, "real", 1), (8, "real", 0)]:
        segments = [
            face["segments"][0] | {"start": 2.0 * n, "end": 2.0 * n + 0.2, "clips": [clip]}
            for n in range(count)
        ]
        report |= {"verdict": verdict, "faces": [face | {"segments": segments}]}
        await with_a_result(api, film, report)
        await expect(weigh).to_contain_text(f"in {count} clips")
        await expect(weigh.get_by_text("very little")).to_have_count(little)


async def test_models_that_disagree_are_seen_to(api: FakeApi, film: bytes) -> None:
    report = two_faces()
    model = report["model"]
    report["model"] = {"name": "both", "rule": "mean", "members": [model | {"name": "one"}, model]}
    weigh = api.page.locator("#verdict-weigh")
    for one, other, disagree in ((0.997, 0.12, 1), (0.9, 0.65, 0), (0.62, 0.55, 0)):
        parts = [{"model": "one", "score": one}, {"model": "two", "score": other}]
        report["faces"][0]["parts"] = [each | {"raw_score": 0.5} for each in parts]
        await with_a_result(api, film, report)
        await expect(weigh).to_contain_text(f"two {other:.2f}.")
        await expect(weigh.get_by_text("The models disagree.")).to_have_count(disagree)


@pytest.mark.parametrize("verdict", ["no_face", "unable"])
async def test_what_was_not_scored_is_not_called_genuine(
    api: FakeApi, film: bytes, verdict: str
) -> None:
    nothing = {"verdict": verdict, "score": None, "raw_score": None, "faces": []}
    page = await with_a_result(api, film, example() | nothing)
    await expect(page.locator("#verdict-sense")).to_contain_text("says nothing about whether")
    for idle in (".legend", "#axis", ".toggles"):
        await expect(page.locator(idle)).to_be_hidden()
    await with_a_result(api, film)
    for useful in (".legend", "#axis", ".toggles"):
        await expect(page.locator(useful)).to_be_visible()
