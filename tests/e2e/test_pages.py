"""Videos by the URL of a page, on a real server, read by the real yt-dlp in its process."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests import media
from tests.onnx_models import brightness_model
from tests.origin.running import RunningSite, running_site
from tests.security.server_process import ServerProcess, free_port, process
from tests.unit.sandbox.processes import state_of

OCTETS = {"Content-Type": "application/octet-stream"}
SECONDS = 8.0
NOTE = "The video was found on a page, by the reader for "


@pytest.fixture(scope="module")
def site() -> Iterator[RunningSite]:
    with running_site() as running:
        yield running


@pytest.fixture(scope="module")
def server(site: RunningSite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("server")
    model = folder / "brightness.onnx"
    model.write_bytes(brightness_model())
    port = free_port()
    command = [sys.executable, "-m", "service", "serve", "--port", str(port)]
    settings = {
        "DEEPFAKE_MODEL__PATH": str(model),
        "DEEPFAKE_FETCH__LOOPBACK": "true",
        "DEEPFAKE_FETCH__PORTS": f"[80, 443, {site.port}]",
        "DEEPFAKE_FETCH__SECONDS": str(SECONDS),
        "DEEPFAKE_FETCH__SITES": '["Generic", "HTML5MediaEmbed", "NoSuchSite"]',
    }
    with process(command, port, folder, settings) as running:
        yield running


@pytest.fixture(scope="module")
def video(site: RunningSite) -> bytes:
    data = media.encode_video(media.group_frames(40))
    site.put(data, "face.mp4")
    return data


def by_url(server: ServerProcess, url: str, **query: Any) -> httpx.Response:
    return httpx.post(f"{server.url}/v1/detections", json={"url": url}, params=query, timeout=120)


def finding(response: httpx.Response) -> dict[str, Any]:
    """A report without what tells how the video came."""
    assert response.status_code == 200, response.text
    report: dict[str, Any] = response.json()
    del report["timing"]
    del report["coverage"]["bytes_fetched"]
    report["reasons"] = [each for each in report["reasons"] if not each.startswith(NOTE)]
    return report


def page(site: RunningSite, body: str, head: str = "") -> None:
    site.put(f"<!doctype html><html><head>{head}</head><body>{body}".encode(), "page")


SHOWN = {
    "video": ('<video src="/for-visitors/face.mp4"></video>', ""),
    "source": ('<video><source src="/ranges/face.mp4" type="video/mp4"></video>', ""),
    "open graph": (
        "",
        '<meta property="og:video:type" content="video/mp4">'
        '<meta property="og:video" content="/ranges/face.mp4">',
    ),
    "stream": ('<video><source src="/whole/list.m3u8" type="application/x-mpegURL"></video>', ""),
}


@pytest.mark.parametrize(
    ("behaviour", "kind"),
    [
        ("html", "video"),
        ("html", "stream"),
        ("open-html", "source"),
        ("open-html", "open graph"),
    ],
)
def test_a_page_gives_the_scores_of_an_upload(
    server: ServerProcess, site: RunningSite, video: bytes, behaviour: str, kind: str
) -> None:
    if kind == "stream":
        lines = ["#EXTM3U", "#EXT-X-TARGETDURATION:2", "#EXTINF:2,", "/whole/face.mp4"]
        site.put("\n".join([*lines, "#EXT-X-ENDLIST"]).encode(), "list.m3u8")
    page(site, *SHOWN[kind])
    found = by_url(server, site.url(behaviour, "page"), detail="full", sampling="full")
    sent = httpx.post(
        f"{server.url}/v1/detections",
        content=video,
        headers=OCTETS,
        params={"detail": "full", "sampling": "full"},
        timeout=120,
    )
    assert finding(found) == finding(sent)
    assert found.json()["faces"]
    assert [each for each in found.json()["reasons"] if each.startswith(NOTE)]
    assert found.json()["timing"]["fetch"] > 0


REFUSED = {
    "no video": ("<p>nothing</p>", "page_url"),
    "private address": ('<video src="http://10.0.0.1/a.mp4"></video>', "url_blocked"),
    "metadata": ('<video src="http://169.254.169.254/a.mp4"></video>', "url_blocked"),
    "another port": ('<video src="http://127.0.0.1:22/a.mp4"></video>', "url_blocked"),
    "a file": ('<video src="file:///etc/passwd"></video>', "origin_failed"),
    "a file inside": ('<meta http-equiv="refresh" content="0; url=file:///x">', "origin_failed"),
    "a page as video": ('<video src="/open-html/page"></video>', "page_url"),
    "itself": ('<meta http-equiv="refresh" content="0; url=/open-html/page">', "page_url"),
    "a page inside": (
        '<meta http-equiv="refresh" content="0; url=http://10.0.0.1/secret">',
        "url_blocked",
    ),
    "missing": ('<video src="/missing/a.mp4"></video>', "origin_failed"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_a_page_leads_to_is_looked_at_like_a_url(
    server: ServerProcess, site: RunningSite, kind: str
) -> None:
    body, code = REFUSED[kind]
    page(site, body)
    response = by_url(server, site.url("open-html", "page"))
    assert response.json()["code"] == code, response.text
    assert str(site.port) not in response.text


HOSTILE = {
    "maze": "origin_failed",
    "endless-html": "origin_failed",
    "silent-later": "origin_slow",
    "loop": "origin_failed",
}


@pytest.mark.parametrize("behaviour", HOSTILE)
def test_hostile_pages_end_in_time_and_within_their_bounds(
    server: ServerProcess, site: RunningSite, behaviour: str
) -> None:
    site.put(b"<!doctype html><html>" + bytes(9000), "odd")
    before, sent = len(site.log()), site.sent()
    began = time.monotonic()
    response = by_url(server, site.url(behaviour, "odd"))
    assert time.monotonic() - began < SECONDS + 2
    assert response.json()["code"] == HOSTILE[behaviour], response.text
    assert len(site.log()) - before <= 32
    # What the kernel takes on the way counts for the sender.
    assert site.sent() - sent < 24 * 2**20


def test_no_process_is_left_and_no_url_is_logged(
    server: ServerProcess, site: RunningSite, video: bytes
) -> None:
    secret = "canary7d2e"
    site.put(b"<!doctype html><html><video src=/ranges/face.mp4></video>", secret)
    assert by_url(server, site.url("open-html", secret)).status_code == 200
    by_url(server, f"http://127.0.0.1:{site.port}/endless-html/{secret}")
    readers = [each for each in server.processes() if b"service.sites" in command_of(each)]
    assert not readers
    assert not [each for each in server.processes() if state_of(int(each.name)) == "Z"]
    assert not [line for line in server.log if secret in line or str(site.port) in line]


def test_who_goes_away_leaves_no_process(server: ServerProcess, site: RunningSite) -> None:
    site.put(b"<!doctype html><html>", "gone")

    def ask() -> None:
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(
                f"{server.url}/v1/detections",
                json={"url": site.url("silent-later", "gone")},
                timeout=2.5,
            )

    with ThreadPoolExecutor() as pool:
        asked = pool.submit(ask)
        seen = False
        while not asked.done():
            seen = seen or bool(readers_of(server))
            time.sleep(0.05)
        asked.result()
    deadline = time.monotonic() + 2
    while readers_of(server) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert seen
    assert not readers_of(server)


def readers_of(server: ServerProcess) -> list[str]:
    return [each.name for each in server.processes() if b"service.sites" in command_of(each)]


def command_of(entry: Any) -> bytes:
    try:
        return bytes((entry / "cmdline").read_bytes())
    except (FileNotFoundError, ProcessLookupError):
        return b""


def test_reading_a_page_writes_nothing(
    server: ServerProcess, site: RunningSite, video: bytes
) -> None:
    page(site, *SHOWN["source"])
    with server.watched() as trace:
        assert by_url(server, site.url("open-html", "page")).status_code == 200
    assert trace.written < 64 * 1024
    assert not trace.files
    assert not trace.opened


def test_sites_that_are_not_known_are_named_once_in_the_log(
    server: ServerProcess, site: RunningSite, video: bytes
) -> None:
    page(site, *SHOWN["source"])
    for _ in range(2):
        by_url(server, site.url("open-html", "page"))
    lines = [line for line in server.log if "knows no such sites" in line]
    assert len(lines) == 1
    assert "NoSuchSite" in lines[0]
