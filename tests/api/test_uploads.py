"""Bodies of every shape, and what is refused."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import hashlib
import tracemalloc
from collections.abc import AsyncIterator

import pytest

from service.errors import TooLarge
from service.settings import FetchSettings, Settings
from service.sources.source import Source
from service.sources.upload import Receiver
from tests.api.client import OCTETS, client, problem, settings
from tests.api.fakes import FakeEngine

VIDEO = bytes(range(256)) * 700
BOUNDARY = "b0und4ry"
FORM = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}


def form(*parts: tuple[str, bytes], end: bool = True) -> bytes:
    """A multipart body of (header lines, data) parts."""
    body = b"".join(
        b"--%b\r\n%b\r\n\r\n%b\r\n" % (BOUNDARY.encode(), head.encode(), data)
        for head, data in parts
    )
    return body + (b"--%b--\r\n" % BOUNDARY.encode() if end else b"")


FILE = 'Content-Disposition: form-data; name="file"; filename="a.mp4"'


async def pieces(body: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(body), size):
        yield body[start : start + size]


async def whole(source: Source) -> bytes:
    return await source.read(0, source.size)


@pytest.mark.parametrize("kind", ["video/mp4", "application/octet-stream", "VIDEO/WebM; codecs=x"])
async def test_a_raw_body_reaches_the_engine_whole(kind: str) -> None:
    engine = FakeEngine()
    async with client(engine) as session:
        response = await session.post(
            "/v1/detections", content=VIDEO, headers={"Content-Type": kind}
        )
    assert response.status_code == 200
    media, _ = engine.asked[0]
    assert await whole(media) == VIDEO
    assert media.sha256 == hashlib.sha256(VIDEO).hexdigest()


@pytest.mark.parametrize("size", [1, 7, 64, 100_000])
async def test_a_form_cut_anywhere_reaches_the_engine_whole(size: int) -> None:
    tricky = b"\r\n--b0und4r\r\n--b0und" + VIDEO[:3000] + b"\r\n--\r\n"
    engine = FakeEngine()
    async with client(engine) as session:
        body = form((FILE + "\r\nContent-Type: video/mp4", tricky))
        response = await session.post("/v1/detections", content=pieces(body, size), headers=FORM)
    assert response.status_code == 200
    assert await whole(engine.asked[0][0]) == tricky


async def test_a_form_as_a_client_library_sends_it() -> None:
    engine = FakeEngine()
    async with client(engine) as session:
        response = await session.post("/v1/detections", files={"file": ("ä b.mp4", VIDEO)})
    assert response.status_code == 200
    assert await whole(engine.asked[0][0]) == VIDEO


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "empty_body"),
        (form((FILE, b"")), "empty_body"),
        (form(), "malformed_request"),
        (form((FILE, b"x"), end=False), "malformed_request"),
        (form((FILE, b"x"), (FILE, b"y")), "malformed_request"),
        (
            form((FILE, b"x"), ('Content-Disposition: form-data; name="a"', b"y")),
            "malformed_request",
        ),
        (form(('Content-Disposition: form-data; name="video"', b"y")), "malformed_request"),
        (form(('Content-Disposition: attachment; name="file"', b"y")), "malformed_request"),
        (form(("X-Nothing: 1", b"y")), "malformed_request"),
        (form((FILE + "\r\nContent-Transfer-Encoding: base64", b"eA==")), "malformed_request"),
        (form((FILE + "\r\nX-Long: " + "x" * 5000, b"x")), "malformed_request"),
        (form((FILE + "\r\nX-A: 1" * 9, b"x")), "malformed_request"),
        (form((FILE, b"\r\n--b0und4ryx" * 17)), "malformed_request"),
        (b"not a form at all", "malformed_request"),
    ],
)
async def test_a_broken_form_is_refused(body: bytes, code: str) -> None:
    engine = FakeEngine()
    async with client(engine) as session:
        problem(await session.post("/v1/detections", content=body, headers=FORM), 400, code)
    assert not engine.asked


@pytest.mark.parametrize("boundary", ["", "; boundary=", "; boundary=" + "x" * 300])
async def test_a_form_needs_a_usable_boundary(boundary: str) -> None:
    async with client(FakeEngine()) as session:
        headers = {"Content-Type": "multipart/form-data" + boundary}
        response = await session.post("/v1/detections", content=b"--x\r\n", headers=headers)
    problem(response, 400, "malformed_request")


@pytest.mark.parametrize(
    ("headers", "chunked"),
    [
        (OCTETS, False),
        (OCTETS, True),
        (FORM, False),
        (FORM, True),
        ({}, False),
        ({"Content-Type": "text/plain"}, False),
    ],
)
async def test_no_byte_is_an_empty_body(headers: dict[str, str], chunked: bool) -> None:
    async with client(FakeEngine()) as session:
        content = pieces(b"", 1) if chunked else b""
        response = await session.post("/v1/detections", content=content, headers=headers)
    problem(response, 400, "empty_body")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content-Type": "text/plain"},
        {"Content-Type": "image/png"},
        {"Content-Type": "video/"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        OCTETS | {"Content-Encoding": "gzip"},
    ],
)
async def test_other_content_types_are_refused(headers: dict[str, str]) -> None:
    async with client(FakeEngine()) as session:
        response = await session.post("/v1/detections", content=b"x", headers=headers)
    problem(response, 415, "unsupported_media_type")
    assert "video/*" in response.headers["accept"]


@pytest.mark.parametrize("enabled", [True, False])
async def test_links_are_announced_where_they_are_taken(enabled: bool) -> None:
    chosen = Settings(fetch=FetchSettings(enabled=enabled))
    async with client(FakeEngine(), chosen) as session:
        response = await session.post("/v1/detections", content=b"x")
        document = (await session.get("/openapi.json")).json()
        link = await session.post("/v1/detections", json={"url": "http://10.0.0.1/"})
    assert ("application/json" in response.headers["accept"]) == enabled
    assert "json" not in response.json()["detail"].lower()
    body = document["paths"]["/v1/detections"]["post"]["requestBody"]
    assert ("application/json" in body["content"]) == ("link" in body["description"]) == enabled
    assert link.json()["code"] == ("url_blocked" if enabled else "unsupported_media_type")


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("kind", ["raw", "form"])
async def test_a_body_over_the_limit_is_refused(chunked: bool, kind: str) -> None:
    engine = FakeEngine()
    limit = 100_000
    for size, fits in [(limit, True), (limit + 1, False), (limit + 50_000, False)]:
        body = VIDEO[:size] if kind == "raw" else form((FILE, VIDEO[:size]))
        async with client(engine, settings(bytes=limit)) as session:
            response = await session.post(
                "/v1/detections",
                content=pieces(body, 9000) if chunked else body,
                headers=OCTETS if kind == "raw" else FORM,
            )
        if fits:
            assert response.status_code == 200
        else:
            assert str(limit) in problem(response, 413, "too_large")["detail"]
    assert len(engine.asked) == 1


async def test_an_endless_epilogue_is_cut_off() -> None:
    body = form((FILE, b"x")) + b"e" * 200_000
    async with client(FakeEngine(), settings(bytes=100_000)) as session:
        response = await session.post("/v1/detections", content=pieces(body, 999), headers=FORM)
    problem(response, 413, "too_large")


@pytest.mark.parametrize(
    ("limit", "pieces", "pause"), [("upload_seconds", 100, 0.02), ("idle_seconds", 2, 3)]
)
async def test_a_slow_body_is_cut_off(limit: str, pieces: int, pause: float) -> None:
    async def slow() -> AsyncIterator[bytes]:
        for _ in range(pieces):
            yield b"x"
            await asyncio.sleep(pause)

    limits = settings(**{limit: 0.1}, drain_seconds=0.1)
    engine = FakeEngine()
    async with client(engine, limits) as session:
        response = await session.post("/v1/detections", content=slow(), headers=OCTETS)
    problem(response, 408, "slow_body")
    assert not engine.asked


@pytest.mark.parametrize("limit", [10_000_000, 7_000_000], ids=["taken", "refused"])
@pytest.mark.parametrize("kind", ["raw", "form"])
async def test_memory_is_one_body_and_free_at_once(kind: str, limit: int) -> None:
    size = 8_000_000
    head = form((FILE, b""), end=False)[:-2] if kind == "form" else b""
    tail = b"\r\n--b0und4ry--\r\n" if kind == "form" else b""

    async def body() -> AsyncIterator[bytes]:
        yield head or b"x"
        for _ in range(size // 10_000):
            yield bytes(10_000)
            # As a body does that comes from elsewhere: timers that are over go.
            await asyncio.sleep(0)
        yield tail

    gc.disable()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        content_type = FORM["Content-Type"] if kind == "form" else "video/mp4"
        with contextlib.suppress(TooLarge):
            receiver = Receiver(content_type=content_type, content_length=None, limit=limit)
            upload = await receiver.read(body(), seconds=9, idle_seconds=9, rate=1)
            assert upload.size >= size
            del upload, receiver
        after, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        gc.enable()
    assert after - before < size / 100
    assert peak - before < 1.2 * size
