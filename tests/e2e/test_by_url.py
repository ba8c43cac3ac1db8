"""Videos by URL on a real server, from a real site in a process of its own."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.padding import PKCS7

from tests import media
from tests.onnx_models import brightness_model
from tests.origin.running import RunningSite, running_site
from tests.security.hostile_urls import MALFORMED, NUMBERS
from tests.security.server_process import ServerProcess, free_port, process
from tests.security.test_hostile_origins import ORIGINS

OCTETS = {"Content-Type": "application/octet-stream"}
SECONDS = 3.0
LARGEST = 64 * 2**20


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
        "DEEPFAKE_FETCH__IDLE_SECONDS": "1",
        "DEEPFAKE_LIMITS__BYTES": str(LARGEST),
        "DEEPFAKE_LIMITS__MEDIA_BYTES": str(2 * LARGEST),
    }
    with process(command, port, folder, settings) as running:
        yield running


@pytest.fixture(scope="module")
def videos() -> dict[str, bytes]:
    frames = media.group_frames(60)
    return {
        "mp4, index last": media.encode_video(frames),
        "mp4, index first": media.faststart(media.encode_video(frames)),
        "mp4, fragments": media.remuxed(
            media.encode_video(frames, options={"g": "15"}),
            container="mp4",
            options={"movflags": "frag_keyframe"},
        ),
        "webm": media.encode_video(frames, codec="libvpx-vp9", container="webm"),
        "mpegts": media.encode_video(frames, container="mpegts"),
    }


def by_url(server: ServerProcess, url: str, **query: Any) -> httpx.Response:
    return httpx.post(f"{server.url}/v1/detections", json={"url": url}, params=query, timeout=120)


def by_upload(server: ServerProcess, video: bytes, **query: Any) -> httpx.Response:
    return httpx.post(
        f"{server.url}/v1/detections", content=video, headers=OCTETS, params=query, timeout=120
    )


def without_timing(response: httpx.Response) -> dict[str, Any]:
    assert response.status_code == 200, response.text
    report: dict[str, Any] = response.json()
    del report["timing"]
    del report["coverage"]["bytes_fetched"]
    return report


@pytest.mark.parametrize(
    "kind", ["mp4, index last", "mp4, index first", "mp4, fragments", "webm", "mpegts"]
)
@pytest.mark.parametrize("behaviour", ["ranges", "whole", "chunked", "closing"])
def test_a_url_gives_the_report_of_an_upload(
    server: ServerProcess, site: RunningSite, videos: dict[str, bytes], kind: str, behaviour: str
) -> None:
    site.put(videos[kind])
    found = by_url(server, site.url(behaviour), detail="full", sampling="full")
    sent = by_upload(server, videos[kind], detail="full", sampling="full")
    assert without_timing(found) == without_timing(sent)
    assert found.json()["faces"]
    assert found.json()["coverage"]["bytes_fetched"] >= len(videos[kind])
    assert found.json()["timing"]["fetch"] > 0


def test_hls_of_transport_streams_gives_the_report_of_them_joined(
    server: ServerProcess, site: RunningSite, videos: dict[str, bytes]
) -> None:
    whole = videos["mpegts"]
    cuts = [*range(0, len(whole), 188 * 500), len(whole)]
    lines = ["#EXTM3U", "#EXT-X-TARGETDURATION:1"]
    for number, (start, end) in enumerate(pairwise(cuts)):
        site.put(whole[start:end], f"{number}.ts")
        lines += ["#EXTINF:1,", f"{number}.ts"]
    site.put("\n".join([*lines, "#EXT-X-ENDLIST"]).encode(), "ts.m3u8")
    site.put(b"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=9,RESOLUTION=64x64\nts.m3u8\n", "main.m3u8")
    found = by_url(server, site.url("whole", "main.m3u8"), detail="full", sampling="full")
    sent = by_upload(server, whole, detail="full", sampling="full")
    assert without_timing(found) == without_timing(sent)


def test_encrypted_segments_give_the_report_of_them_joined(
    server: ServerProcess, site: RunningSite, videos: dict[str, bytes]
) -> None:
    whole, key = videos["mpegts"], bytes(range(16))
    cuts = [*range(0, len(whole), 188 * 500), len(whole)]
    lines = ["#EXTM3U", "#EXT-X-MEDIA-SEQUENCE:5", '#EXT-X-KEY:METHOD=AES-128,URI="key"']
    for number, (start, end) in enumerate(pairwise(cuts), 5):
        encryptor = Cipher(AES(key), CBC(number.to_bytes(16, "big"))).encryptor()
        padding = PKCS7(128).padder()
        plain = padding.update(whole[start:end]) + padding.finalize()
        site.put(encryptor.update(plain) + encryptor.finalize(), f"{number}.enc")
        lines += ["#EXTINF:1,", f"{number}.enc"]
    site.put(key, "key")
    site.put("\n".join([*lines, "#EXT-X-ENDLIST"]).encode(), "encrypted.m3u8")
    found = by_url(server, site.url("whole", "encrypted.m3u8"), detail="full", sampling="full")
    sent = by_upload(server, whole, detail="full", sampling="full")
    assert without_timing(found) == without_timing(sent)


@pytest.mark.parametrize("kind", ["hls", "dash"])
def test_streams_of_fragments_give_the_report_of_them_joined(
    server: ServerProcess, site: RunningSite, videos: dict[str, bytes], kind: str
) -> None:
    whole = videos["mp4, fragments"]
    starts = [at for box, at in media.boxes(whole) if box == b"moof"]
    end = next(at for box, at in media.boxes(whole) if box == b"mfra")
    site.put(whole[: starts[0]], "head.mp4")
    for number, (start, stop) in enumerate(pairwise([*starts, end])):
        site.put(whole[start:stop], f"{number}.m4s")
    if kind == "hls":
        lines = ["#EXTM3U", "#EXT-X-TARGETDURATION:1", '#EXT-X-MAP:URI="head.mp4"']
        lines += [line for n in range(len(starts)) for line in ("#EXTINF:1,", f"{n}.m4s")]
        text = "\n".join([*lines, "#EXT-X-ENDLIST"])
    else:
        text = f"""<MPD mediaPresentationDuration="PT{len(starts)}S"><Period>
            <AdaptationSet mimeType="video/mp4"><SegmentTemplate initialization="head.mp4"
            media="$Number$.m4s" startNumber="0" duration="1"/><Representation id="0"/>
            </AdaptationSet></Period></MPD>"""
    site.put(text.encode(), "list")
    found = by_url(server, site.url("whole", "list"), detail="full", sampling="full")
    sent = by_upload(server, whole[:end], detail="full", sampling="full")
    assert len(starts) > 1
    assert without_timing(found) == without_timing(sent)


def test_of_a_long_video_little_is_fetched(
    server: ServerProcess,
    site: RunningSite,
    record_property: Callable[[str, object], None],
) -> None:
    long = media.repeated_video(media.group_frames(25), seconds=600, size=200_000_000)
    assert 190_000_000 < len(long) < 210_000_000
    site.put(long, "long")
    before = site.sent()
    held = server.memory()
    response = by_url(server, site.url("ranges", "long"), sampling="paper")
    assert response.status_code == 200, response.text
    report = response.json()
    assert report["coverage"]["clips_scored"] > 0
    assert report["coverage"]["frames_decoded"] == 80
    assert report["media"] == report["media"] | {"bytes": len(long), "sha256": None}
    fetched = report["coverage"]["bytes_fetched"]
    grown = server.memory() - held
    record_property("share_fetched", round(fetched / len(long), 4))
    record_property("memory_grown", grown)
    print(f"{fetched / len(long):.1%} of {len(long)} bytes fetched, {grown} bytes of memory more")
    assert fetched == site.sent() - before < 0.4 * len(long)
    assert grown < LARGEST


@pytest.mark.parametrize(("behaviour", "error"), ORIGINS.items(), ids=ORIGINS)
def test_hostile_origins_get_their_problem_in_time(
    server: ServerProcess, site: RunningSite, behaviour: str, error: Any
) -> None:
    site.put(bytes(3 * 2**20), "zeros")
    began = time.monotonic()
    response = by_url(server, site.url(behaviour, "zeros"))
    assert time.monotonic() - began < SECONDS + 1
    # Of media that are none the first part is enough.
    codes = {error.code, "undecodable"} if behaviour in LATER else {error.code}
    assert response.json()["code"] in codes
    assert response.json()["status"] == response.status_code


LATER = {"other-part-later", "grows", "changes", "ranges-once", "gone-later", "stalled-later"}


def test_hostile_urls_get_one_answer_and_no_connection(
    server: ServerProcess, site: RunningSite
) -> None:
    answers = set()
    before = len(site.log())
    urls = [text for text in [*MALFORMED, *NUMBERS] if text and _encodable(text)]
    urls += [f"http://[::1]:{site.port}/", f"http://127.0.0.2:{site.port}/ranges/video"]
    urls += [f"http://[::ffff:127.0.0.1]:{site.port}/", "http://127.0.0.1:22/"]
    for url in urls:
        response = by_url(server, url)
        if response.json()["code"] == "malformed_request":
            assert len(url) > 8192
            continue
        answers.add((response.status_code, response.json()["code"], response.json()["detail"]))
    assert len(answers) == 1
    assert answers.pop()[:2] == (422, "url_blocked")
    assert len(site.log()) == before


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b'"http://a.example/"',
        b'{"url": 1}',
        b'{"url": "", "a": 1}',
        b"{",
        b"\xff",
    ],
)
def test_other_json_is_no_request(server: ServerProcess, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    response = httpx.post(f"{server.url}/v1/detections", content=body, headers=headers)
    code = response.json()["code"]
    assert (response.status_code, code) == (400, "malformed_request" if body else "empty_body")


def test_no_url_is_told_or_logged(server: ServerProcess, site: RunningSite) -> None:
    secret = "canary6c1f"
    for url in (site.url("missing", secret), f"http://10.0.0.1/{secret}", f"gopher://{secret}/"):
        response = by_url(server, url)
        assert response.status_code in (422, 502)
        assert secret not in response.text
    assert not [line for line in server.log if secret in line or str(site.port) in line]


def test_progress_is_streamed_and_a_job_is_made(
    server: ServerProcess, site: RunningSite, videos: dict[str, bytes]
) -> None:
    site.put(videos["webm"])
    link = {"url": site.url("ranges")}
    headers = {"Accept": "application/x-ndjson"}
    streamed = httpx.post(f"{server.url}/v1/detections", json=link, headers=headers, timeout=60)
    assert streamed.text.splitlines()[-1].startswith('{"event":"report"')
    headers = {"Prefer": "respond-async"}
    taken = httpx.post(f"{server.url}/v1/detections", json=link, headers=headers, timeout=60)
    assert taken.status_code == 202
    deadline = time.monotonic() + 30
    state = taken.json()
    while state["status"] not in ("done", "failed") and time.monotonic() < deadline:
        time.sleep(0.1)
        state = httpx.get(server.url + taken.headers["location"]).json()
    assert state["status"] == "done"


def test_nothing_is_written(
    server: ServerProcess, site: RunningSite, videos: dict[str, bytes]
) -> None:
    site.put(videos["mp4, index last"])
    with server.watched() as trace:
        assert by_url(server, site.url("ranges")).status_code == 200
        assert by_url(server, site.url("whole")).status_code == 200
    assert trace.written < 64 * 1024
    assert not trace.files
    assert not trace.opened


def test_production_refuses_loopback() -> None:
    command = [sys.executable, "-m", "service", "serve", "--host", "0.0.0.0", "--port", "0"]
    done = subprocess.run(
        command, env={"DEEPFAKE_FETCH__LOOPBACK": "1"}, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert "DEEPFAKE_FETCH__LOOPBACK" in done.stderr
