"""The page in another browser engine than the one that all else is tried in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests import media
from tests.api.client import OCTETS
from tests.api.wire import eventually
from tests.security.server_process import ServerProcess
from tests.web.marionette import Firefox, firefox
from tests.web.reports import INK

_SHOWN = """return [...document.querySelectorAll("button.segment")].map((each) => [
  each.closest(".lane").dataset.face, Number(each.dataset.start), Number(each.dataset.score)])"""

_DRAWN = f"return [...document.querySelectorAll(arguments[0])].map({INK})"

_DO_WRONG = """
const style = document.createElement("style");
style.textContent = "p { color: red }";
document.head.append(style);
document.querySelector("#file").addEventListener("click", () => { throw new Error("wrong"); });
document.querySelector("#file").dispatchEvent(new Event("click"));
"""


@pytest.fixture(scope="module")
def window(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Firefox]:
    """A headless Firefox."""
    with firefox(tmp_path_factory.mktemp("firefox")) as running:
        yield running


def test_a_video_that_is_chosen_gets_the_verdict_that_the_api_gives(
    window: Firefox, service: ServerProcess, tmp_path: Path
) -> None:
    # A codec that every Firefox brings itself.
    film = media.av1_video([frame[:240, :320] for frame in media.group_frames(50)])
    (tmp_path / "film.mp4").write_bytes(film)
    with httpx.Client(base_url=service.url, timeout=60) as session:
        told = session.post("/v1/detections", content=film, headers=OCTETS).json()
    faces = [(str(face["id"]), face["segments"]) for face in told["faces"]]

    window.open(f"{service.url}/")
    window.choose("#file", tmp_path / "film.mp4")
    window.click("#analyse")
    verdict = window.until("return document.querySelector('#verdict').dataset.verdict")
    assert verdict == told["verdict"]
    assert sorted(window.evaluate(_SHOWN)) == sorted(
        [face, each["start"], pytest.approx(each["score"], abs=1e-6)]
        for face, segments in faces
        for each in segments
    )
    window.until(
        "return document.querySelectorAll('.lane .thumb:not([hidden])').length == arguments[0]",
        len(faces),
    )
    assert all(window.evaluate(_DRAWN, ".lane .thumb"))

    face, segments = faces[0]
    inks = [window.evaluate(_DRAWN, "#overlay")]
    window.click("#heat")
    for each in (segments[0], segments[-1]):
        start = f"{each['start']:g}"
        window.click(f".lane[data-face='{face}'] [data-start='{start}']")
        # Away from the lane, over which the mouse shows moments by itself.
        window.click("h1")
        window.until(
            "return document.querySelector('#overlay').dataset.heat == arguments[0]",
            f"{face}:{start}",
        )
        time = window.until(
            """const video = document.querySelector("#video");
               return !video.seeking && video.currentTime""",
        )
        assert each["start"] < time < (each["start"] + each["end"]) / 2
        inks.append(window.evaluate(_DRAWN, "#overlay"))
    assert len({*map(str, inks)}) == 3

    window.click("#difference")
    window.until(
        """return document.querySelector("#difference-words").textContent
             .includes("8 times brighter")"""
    )
    first, second, change = window.evaluate(_DRAWN, ".pair canvas")
    assert first != second
    assert change not in (first, second)

    assert window.complaints(service.url) == []


def test_what_a_page_does_wrong_is_noticed(window: Firefox, service: ServerProcess) -> None:
    """By what the other test rests on."""
    window.open(f"{service.url}/")
    before = len(window.complaints(service.url))
    window.evaluate(_DO_WRONG)

    def told() -> str:
        return "".join(window.complaints(service.url)[before:])

    assert eventually(lambda: "style-src" in told())
    assert eventually(lambda: "Error: wrong" in told())
