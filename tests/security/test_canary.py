"""A secret put wherever a caller can put anything shows up nowhere: no log line, metric or answer.

Against the real server on the real engine, its own loggers at DEBUG.
"""

from __future__ import annotations

import itertools
import json
import socket
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from service.api.accept import JSON
from service.app import create_app
from service.auth import entry
from service.settings import Settings
from tests import media
from tests.api.fakes import FakeEngine
from tests.onnx_models import brightness_model
from tests.security.server_process import ServerProcess, free_port, process

SECRET = "CANARYb7f3e1"
TILDE = SECRET + "~"
"""No request id: one that looks like one is the caller's to choose, and is logged on purpose."""

KEY = "dfk_" + SECRET
HEADERS = (
    "Accept",
    "Accept-Encoding",
    "Accept-Language",
    "Authorization",
    "Connection",
    "Content-Disposition",
    "Content-Encoding",
    "Content-Type",
    "Cookie",
    "Expect",
    "Forwarded",
    "From",
    "Host",
    "If-None-Match",
    "Origin",
    "Prefer",
    "Range",
    "Referer",
    "Traceparent",
    "Upgrade",
    "User-Agent",
    "Via",
    "X-Api-Key",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Proto",
    "X-Request-Id",
    f"X-{SECRET}",
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("canary")
    model = folder / "brightness.onnx"
    model.write_bytes(brightness_model())
    work = folder / "work"
    work.mkdir()
    port = free_port()
    settings = {
        "DEEPFAKE_MODEL__PATH": str(model),
        "DEEPFAKE_LOG_LEVEL": "debug",
        "DEEPFAKE_AUTH__KEYS": json.dumps([entry("tester", KEY)]),
        "DEEPFAKE_LIMITS__DRAIN_SECONDS": "0.5",
    }
    command = [sys.executable, "-m", "service", "serve", "--port", str(port)]
    with process(command, port, work, settings) as running:
        yield running


def assert_silent(server: ServerProcess, seen: int) -> None:
    read_log_to_here(server)
    metrics = httpx.get(f"{server.url}/metrics").text
    assert "http_requests_total" in metrics
    assert SECRET not in metrics
    lines = server.log[seen:]
    assert any('"event": "request"' in line for line in lines)
    assert not [line for line in lines if SECRET in line]


def read_log_to_here(server: ServerProcess) -> None:
    """An answer may come before its line of log: wait for the line of a request made now."""
    mark = f"mark-{uuid.uuid4().hex}"
    httpx.get(f"{server.url}/health", headers={"X-Request-ID": mark})
    deadline = time.monotonic() + 10
    while not any(mark in line for line in server.log):
        assert time.monotonic() < deadline, "the request was not logged"
        time.sleep(0.02)


def assert_not_told(response: httpx.Response) -> None:
    assert SECRET not in response.text
    assert SECRET not in str(response.headers)


def routes() -> list[str]:
    schema = create_app(Settings(), FakeEngine()).openapi()
    return [path.format(id=SECRET, name=SECRET, code=SECRET) for path in schema["paths"]] + [
        f"/{SECRET}",
        f"/docs/{SECRET}",
        f"/page/{SECRET}",
        f"/page/{SECRET}/{SECRET}.js",
        f"/v1/detections/{SECRET}-{'0' * 32}",
    ]


@pytest.mark.parametrize("key", [{}, {"X-API-Key": KEY}], ids=["stranger", "known"])
def test_in_every_path_and_query_by_every_method(
    server: ServerProcess, key: dict[str, str]
) -> None:
    seen = len(server.log)
    methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", SECRET]
    with httpx.Client(base_url=server.url, timeout=30) as session:
        for path, method in itertools.product(routes(), methods):
            response = session.request(
                method,
                f"{path}?{SECRET}={SECRET}&sampling={SECRET}&model={SECRET}&start={SECRET}",
                headers=key,
            )
            assert_not_told(response)
        for query in (f"model={SECRET}", f"sampling={SECRET}", f"faces={SECRET}", SECRET):
            response = session.post(f"/v1/detections?{query}", content=b"x", headers=key)
            assert response.status_code in (400, 401)
            assert_not_told(response)
    assert_silent(server, seen)


@pytest.mark.parametrize("header", HEADERS)
def test_in_every_header(server: ServerProcess, header: str) -> None:
    seen = len(server.log)
    for path, body in [("/v1/detections", b"no video"), ("/v1/limits", b""), ("/nothing", b"")]:
        for value in (TILDE, f"Bearer {TILDE}", f"text/html;q={TILDE}", f"1; {TILDE}={TILDE}"):
            given = {"X-API-Key": KEY, "Content-Type": "video/mp4"} | {header: value}
            if header in ("X-Api-Key", "Authorization"):
                del given["X-API-Key"]
            response = httpx.request(
                "POST" if body else "GET",
                server.url + path,
                content=body,
                headers=given,
                timeout=30,
            )
            assert_not_told(response)
    assert_silent(server, seen)


def form(boundary: str, *parts: str) -> bytes:
    whole = "".join(f"--{boundary}\r\n{part}\r\n" for part in parts)
    return f"{whole}--{boundary}--\r\n".encode()


FILE = 'Content-Disposition: form-data; name="file"; filename="%s.mp4"\r\n\r\n'


@pytest.mark.parametrize("prefer", [{}, {"Prefer": "respond-async"}], ids=["now", "later"])
@pytest.mark.parametrize(
    "parts",
    [
        [FILE % SECRET + SECRET],
        [f'Content-Disposition: form-data; name="{SECRET}"\r\n\r\n{SECRET}'],
        [f"{SECRET}\r\n\r\n{SECRET}"],
        [f"X-{SECRET}: {SECRET}\r\n" + FILE % "x" + SECRET],
        [f"Content-Type: {SECRET}\r\n" + FILE % "x" + SECRET, FILE % SECRET],
        [f"Content-Transfer-Encoding: {SECRET}\r\n" + FILE % "x" + SECRET],
    ],
)
def test_in_forms(server: ServerProcess, parts: list[str], prefer: dict[str, str]) -> None:
    seen = len(server.log)
    for boundary, sent in [(SECRET, SECRET), ("x", "x"), (SECRET, "x"), (SECRET * 8, SECRET * 8)]:
        response = httpx.post(
            f"{server.url}/v1/detections",
            content=form(sent, *parts),
            headers={"X-API-Key": KEY, "Content-Type": f"multipart/form-data; boundary={boundary}"}
            | prefer,
            timeout=30,
        )
        assert response.status_code >= 400 or prefer
        assert_not_told(response)
        if response.status_code == 202:
            job = httpx.get(server.url + response.headers["location"], headers={"X-API-Key": KEY})
            assert_not_told(job)
    assert_silent(server, seen)


@pytest.mark.parametrize(
    "accept", ["application/json", "application/x-ndjson", "text/event-stream"]
)
def test_in_media_that_fail_and_that_do_not(server: ServerProcess, accept: str) -> None:
    seen = len(server.log)
    video = media.numbered_video(12)
    bodies = [
        SECRET.encode(),
        json.dumps({SECRET: SECRET}).encode(),
        f"#EXTM3U\n#EXTINF:1,{SECRET}\nfile:///{SECRET}.mp4\n".encode(),
        f"ffconcat version 1.0\nfile {SECRET}\n".encode(),
        video[: len(video) // 2] + SECRET.encode(),
        video.replace(b"isom", SECRET.encode()[:4]) + SECRET.encode(),
        media.padded(video, len(video) + 1000) + SECRET.encode(),
    ]
    statuses = set()
    for body in bodies:
        response = httpx.post(
            f"{server.url}/v1/detections",
            content=body,
            headers={"X-API-Key": KEY, "Content-Type": "video/mp4", "Accept": accept},
            timeout=60,
        )
        statuses.add(response.status_code)
        assert_not_told(response)
    assert statuses == {200, 422} or (200 in statuses and accept != JSON)
    assert_silent(server, seen)


@pytest.mark.parametrize(
    "bytes_sent",
    [
        f"{SECRET}\r\n\r\n",
        f"GET /{SECRET} HTTP/9{SECRET}\r\n\r\n",
        f"GET / HTTP/1.1\r\n{SECRET}\r\n\r\n",
        f"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: {SECRET}\r\n\r\n",
        f"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: {SECRET}\r\n\r\n",
        f"GET /nothing HTTP/1.1\r\nHost: x\r\nUpgrade: {SECRET}\r\nConnection: upgrade\r\n\r\n",
        f"GET /{SECRET * 2000} HTTP/1.1\r\n\r\n",
    ],
)
def test_in_what_is_no_http(server: ServerProcess, bytes_sent: str) -> None:
    seen = len(server.log)
    port = int(server.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(bytes_sent.encode())
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    assert answer.startswith(b"HTTP/1.1 4")
    assert SECRET.encode() not in answer
    assert_silent(server, seen)


def test_the_check_sees_what_is_logged(server: ServerProcess) -> None:
    response = httpx.get(f"{server.url}/health", headers={"X-Request-ID": SECRET})
    assert response.headers["x-request-id"] == SECRET
    read_log_to_here(server)
    assert any(SECRET in line for line in server.log)
    assert any('"key": "tester"' in line for line in server.log)


def test_nothing_was_written(server: ServerProcess, tmp_path: Path) -> None:
    assert not server._files()
