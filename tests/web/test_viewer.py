"""The picture and the timeline: where a click leads, and what is drawn over the video."""

from __future__ import annotations

import json
import re

import pytest
from playwright.async_api import expect

from tests.web.fake_api import FakeApi, analyse, finished
from tests.web.reports import INK, current_time, two_faces, with_a_result

pytestmark = pytest.mark.asyncio(loop_scope="session")


_BEYOND = """() => [...document.querySelectorAll("body *")]
  .filter((element) => element.getBoundingClientRect().right > innerWidth + 1)
  .map((element) => element.outerHTML.slice(0, 100))"""


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
    await expect(page.locator(".segment[aria-current]")).to_have_attribute("data-score", "0.95")
    await expect(page.locator(".moment[aria-current]")).to_contain_text("face 0, 0.95")


async def test_the_mouse_shows_a_moment_and_goes_back(api: FakeApi, film: bytes) -> None:
    page = await with_a_result(api, film)
    await page.locator("#moments button").first.click()
    chosen = await current_time(page)
    second = page.locator(".lane[data-face='0'] button.segment").nth(1)
    await second.hover()
    await expect(page.locator("#seen")).to_contain_text("face 0, 0.20, likely real")
    assert 1 <= await current_time(page) < 2
    # However many it was over, it goes back to where it came from.
    await page.locator(".lane[data-face='4'] button.segment").hover()
    await expect(page.locator("#seen")).to_contain_text("face 0, 0.95, likely fake")
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
    plain = await overlay.evaluate(INK)
    await page.check("#heat")
    await expect(overlay).to_have_attribute("data-heat", "0:0")
    await expect(page.locator("#heat-words")).to_contain_text("2 × 2 places")
    of_first = await overlay.evaluate(INK)
    await second.click()
    await expect(overlay).to_have_attribute("data-heat", "0:1")
    of_second = await overlay.evaluate(INK)
    assert len({plain, of_first, of_second}) == 3
    await page.uncheck("#heat")
    await expect(overlay).not_to_have_attribute("data-heat", re.compile(""))
    assert await overlay.evaluate(INK) == plain


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


async def test_boxes_are_seen_in_full_screen(api: FakeApi, film: bytes) -> None:
    page = await with_a_result(api, film)
    await page.locator("button.segment").first.click()
    before = await page.locator("#overlay").bounding_box()
    await page.click("#whole-screen")
    await expect(page.locator(".stage:fullscreen")).to_have_count(1)
    await expect(page.locator("#overlay")).to_have_attribute("data-boxes", "2")
    after, screen = await page.locator("#overlay").bounding_box(), page.viewport_size
    assert before
    assert after
    assert screen
    assert (after["width"], after["height"]) == (screen["width"], screen["height"])
    assert after["height"] > before["height"]
    await page.keyboard.press("Escape")


async def test_two_frames_and_their_difference_are_drawn(api: FakeApi, film: bytes) -> None:
    page = await with_a_result(api, film)
    await page.locator("button.segment").nth(0).click()
    await page.check("#difference")
    await expect(page.locator("#difference-words")).to_contain_text("8 times brighter")
    inks = [await page.locator(f"#frame-{each}").evaluate(INK) for each in ("first", "second")]
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
    assert await thumbs.first.evaluate(INK)


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


async def test_a_phone_need_not_scroll_sideways(api: FakeApi, film: bytes) -> None:
    width = 320
    await api.page.set_viewport_size({"width": width, "height": 700})
    page = await with_a_result(api, film)
    await page.check("#difference")
    assert await page.evaluate("document.documentElement.scrollWidth") <= width
    # What is cut off does not scroll either.
    assert await page.evaluate(_BEYOND) == []


async def test_a_phone_keeps_the_picture_in_view(api: FakeApi, film: bytes) -> None:
    page = api.page
    await page.set_viewport_size({"width": 390, "height": 844})
    await with_a_result(api, film)
    for each in (page.locator("button.segment").last, page.locator("#moments button").last):
        await each.click()
        for seen in (page.locator(".stage"), each):
            await expect(seen).to_be_in_viewport(ratio=1)
        picture, button = await page.locator(".stage").bounding_box(), await each.bounding_box()
        assert picture
        assert button
        assert picture["y"] + picture["height"] <= button["y"]
    # What explains the finding has all of the screen.
    await page.locator("#share").scroll_into_view_if_needed()
    await expect(page.locator(".stage")).not_to_be_in_viewport()


async def test_nothing_with_the_focus_lies_below_the_picture(api: FakeApi, film: bytes) -> None:
    page = api.page
    await page.set_viewport_size({"width": 390, "height": 844})
    await with_a_result(api, film)
    await page.locator("button.segment").last.focus()
    for _ in range(10):
        await page.keyboard.press("Shift+Tab")
        # A video's own controls have the focus without its telling.
        if await page.evaluate("document.activeElement.id === 'video'"):
            return
        picture = await page.locator(".stage").bounding_box()
        focused = await page.locator(":focus").bounding_box()
        assert picture
        assert focused
        assert focused["y"] >= picture["y"] + picture["height"]
    pytest.fail("the focus never came to the video")


_SLOW = """() => {
  const known = Object.getOwnPropertyDescriptor(HTMLMediaElement.prototype, "currentTime");
  window.waiting = [];
  Object.defineProperty(HTMLMediaElement.prototype, "currentTime", {
    get() { return known.get.call(this); },
    set(time) {
      const go = () => known.set.call(this, time);
      if (this.isConnected) go();
      else window.waiting.push(go);
    },
  });
}"""


async def test_a_face_that_is_drawn_late_is_not_put_beside_another_finding(
    api: FakeApi, film: bytes
) -> None:
    page = api.page
    await page.evaluate(_SLOW)
    report = two_faces()
    report["faces"] = report["faces"][:1]
    await with_a_result(api, film, report)
    nothing = {"verdict": "no_face", "score": None, "raw_score": None, "faces": []}
    api.answers(finished(report | nothing))
    await page.click("#analyse")
    await expect(page.locator("#verdict")).to_have_attribute("data-verdict", "no_face")
    # As often as there are pictures that could be waited for.
    for _ in range(6):
        await page.evaluate("""async () => {
          for (const go of window.waiting.splice(0)) go();
          await new Promise((done) => requestAnimationFrame(() => setTimeout(done, 50)));
        }""")
    await expect(page.locator("#suspect")).to_be_hidden()


_BLANK = """(canvas) => {
  const blank = document.createElement("canvas");
  [blank.width, blank.height] = [canvas.width, canvas.height];
  return canvas.toDataURL() === blank.toDataURL();
}"""

_NOISE = """() => {
  const { getImageData } = CanvasRenderingContext2D.prototype;
  CanvasRenderingContext2D.prototype.getImageData = function (...place) {
    const read = getImageData.apply(this, place);
    return new ImageData(read.data.map((level, at) => (level + at * 7) % 256), read.width);
  };
}"""


async def test_what_a_browser_falsifies_is_not_drawn(api: FakeApi, film: bytes) -> None:
    """Some hand pages altered pictures, so that nobody is recognised by theirs."""
    page = await with_a_result(api, film)
    await page.evaluate(_NOISE)
    await page.locator("button.segment").first.click()
    for box, words in (("#heat", "#heat-words"), ("#difference", "#difference-words")):
        await page.check(box)
        await expect(page.locator(words)).to_contain_text("What would be drawn here would be false")
    await expect(page.locator("#overlay")).not_to_have_attribute("data-heat", re.compile("."))
    assert await page.locator("#frame-change").evaluate(_BLANK)
