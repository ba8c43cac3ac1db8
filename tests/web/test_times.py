"""A moment of a report is the same moment of the person's own video, whatever its times are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from playwright.async_api import Page, expect

from service.video.deadline import Deadline
from service.video.video import Video, VideoLimits
from tests import media
from tests.web.fake_api import FakeApi, analyse, example, finished

pytestmark = pytest.mark.asyncio(loop_scope="session")

_WHOLE = [0.0, 0.0, 64.0, 64.0]

# In the middle: around a face that is cut off by the frame all is black.
_SHOWN = """(element) => new Promise((tell) => {
  const draw = () => {
    const canvas = new OffscreenCanvas(8, 8);
    const pen = canvas.getContext("2d");
    const width = element.videoWidth || element.width;
    const height = element.videoHeight || element.height;
    pen.drawImage(element, width / 2, height / 2, 8, 8, 0, 0, 8, 8);
    tell([...pen.getImageData(0, 0, 8, 8).data].filter((_, at) => at % 4 < 3));
  };
  if (element.seeking) element.addEventListener("seeked", draw, { once: true });
  else draw();
})"""


def times_of(video: bytes) -> list[float]:
    """When the service says that each frame is shown, seconds."""
    return [float(time) for time in Video(video, VideoLimits(), Deadline(60)).times]


def report_on(times: list[float], first: int, last: int) -> dict[str, Any]:
    """A face that fills these frames, and is scored in them."""
    report = example()
    face = report["faces"][0]
    span = {"start": times[first], "end": times[last + 1]}
    each = face["segments"][0] | span | {"box": _WHOLE, "start_frame": first, "end_frame": last}
    boxes = [{"frame": n, "time": times[n], "box": _WHOLE} for n in range(first, last + 1)]
    report["faces"] = [face | span | {"segments": [each], "boxes": boxes}]
    # 25 frames a second is what the file of uneven times claims.
    report["media"] |= {"width": 96, "height": 64, "duration": times[-1] + 0.04, "fps": 25.0}
    return report


async def frame_in(page: Page, selector: str) -> int:
    """The number of the frame that is drawn there."""
    levels = await page.locator(selector).evaluate(_SHOWN)
    return media.number_of(np.array(levels, np.uint8))


_LATE = """() => {
  const ask = HTMLVideoElement.prototype.requestVideoFrameCallback;
  window.shown = [];
  HTMLVideoElement.prototype.requestVideoFrameCallback = function (tell) {
    return ask.call(this, (...told) => window.shown.push(() => tell(...told)));
  };
}"""


async def test_a_first_frame_that_shows_late_still_counts(api: FakeApi) -> None:
    """A page that is not to be seen shows none before it is."""
    page, video = api.page, media.late_video(0.52)
    await page.evaluate(_LATE)
    api.answers(finished(report_on(times_of(video), 12, 20)))
    await analyse(page, video)
    await expect(page.locator("#verdict")).to_be_visible()
    await expect(page.locator("#seen")).not_to_be_empty()
    await page.evaluate("window.shown.forEach((tell) => tell())")
    await page.locator("button.segment").click()
    assert await frame_in(page, "#video") == 12


@pytest.mark.parametrize(
    "video",
    [
        pytest.param(media.numbered_video(), id="from 0"),
        pytest.param(media.late_video(0.52), id="after its sound"),
        pytest.param(
            media.timed_video([n * 0.04 + (n > 11) * 0.3 + (n > 12) * 0.2 for n in range(50)]),
            id="uneven",
        ),
        pytest.param(media.timed_video([1.5 + n * 0.04 for n in range(50)]), id="from 1.5"),
    ],
)
async def test_a_moment_of_the_report_is_that_moment_of_the_video(
    api: FakeApi, video: bytes
) -> None:
    page = api.page
    times = times_of(video)
    assert times[0] == 0
    api.answers(finished(report_on(times, 12, 20)))
    await analyse(page, video)
    await expect(page.locator("#verdict")).to_be_visible()
    await page.locator("button.segment").click()
    assert await frame_in(page, "#video") == 12
    await page.check("#difference")
    await expect(page.locator("#difference-words")).to_contain_text("8 times brighter")
    assert await frame_in(page, "#frame-first") == 12
    assert await frame_in(page, "#frame-second") == 13
    middle = (times[12] + times[21]) / 2
    shown = max(n for n, time in enumerate(times) if time <= middle)
    assert await frame_in(page, ".thumb") == shown
    # Back from the browser's clock to the report's.
    await expect(page.locator("#seen")).to_contain_text(f"At 0:{times[12]:04.1f}")
    # The next one has a clock of its own.
    other = media.numbered_video()
    api.answers(finished(report_on(times_of(other), 12, 20)))
    await analyse(page, other)
    await expect(page.locator("#verdict")).to_be_visible()
    await page.locator("button.segment").click()
    assert await frame_in(page, "#video") == 12
