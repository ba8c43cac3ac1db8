"""Reports on the film, and the page that shows them."""

from __future__ import annotations

import base64
from typing import Any

import cv2
import numpy as np
from playwright.async_api import Page, expect

from tests.web.fake_api import FakeApi, analyse, example, finished

INK = """(canvas) => {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return data.reduce((sum, level) => (sum * 31 + level) % 1000003, 0);
}"""
"""What tells two drawings apart."""


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
