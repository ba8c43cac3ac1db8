"""What only shows on a real connection."""

from __future__ import annotations

import json
import logging
import threading
import time

import httpx
import pytest

from service.logs import JsonFormatter
from service.server import Server
from service.settings import Settings
from tests.api.client import OCTETS, settings
from tests.api.fakes import FakeEngine
from tests.api.wire import MEGABYTE, POST, code, connected, eventually, read_all, served


def test_a_client_that_sends_all_first_still_reads_the_refusal() -> None:
    size = 20 * len(MEGABYTE)
    with served(settings(bytes=1000), FakeEngine()) as port, connected(port) as connection:
        connection.sendall(POST + b"Content-Length: %d\r\n\r\n" % size)
        for _ in range(20):
            connection.sendall(MEGABYTE)
        answer = read_all(connection)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"\r\nconnection: close\r\n" in answer.lower()
    assert code(answer) == "too_large"


def test_a_chunked_body_is_refused_where_it_crosses_the_limit() -> None:
    chunk = b"%x\r\n%b\r\n" % (len(MEGABYTE), MEGABYTE)
    with served(settings(bytes=2**20 + 1), FakeEngine()) as port, connected(port) as connection:
        connection.sendall(POST + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 20 + b"0\r\n\r\n")
        assert code(read_all(connection)) == "too_large"


def test_the_refusal_arrives_before_the_body_is_sent() -> None:
    with served(settings(bytes=1000), FakeEngine()) as port, connected(port) as connection:
        connection.sendall(POST + b"Content-Length: 99999\r\nExpect: 100-continue\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 413 ")


def test_reading_on_after_a_refusal_is_bounded() -> None:
    limits = settings(bytes=1000, drain_bytes=2**20, drain_seconds=60)
    with served(limits, FakeEngine()) as port, connected(port) as connection:
        connection.sendall(POST + b"Content-Length: 10000000000\r\n\r\n")
        with pytest.raises(OSError, match=r"reset|pipe"):
            connection.sendall(MEGABYTE * 100)


def test_waiting_for_the_rest_after_a_refusal_is_bounded() -> None:
    limits = settings(bytes=1000, drain_seconds=0.2)
    with served(limits, FakeEngine()) as port, connected(port) as connection:
        connection.sendall(POST + b"Content-Length: 10000000000\r\n\r\n")
        started = time.monotonic()
        assert code(read_all(connection)) == "too_large"
        assert time.monotonic() - started < 5


def test_a_connection_goes_on_after_an_answer_to_a_whole_body() -> None:
    with served(Settings(), FakeEngine()) as port, connected(port) as connection:
        for _ in range(2):
            connection.sendall(POST + b"Content-Length: 1\r\n\r\nx")
            assert b"connection: close" not in connection.recv(65536).lower()


def test_a_client_that_leaves_in_mid_body_is_no_failure(caplog: pytest.LogCaptureFixture) -> None:
    engine = FakeEngine()
    with caplog.at_level(logging.INFO), served(Settings(), engine) as port:
        with connected(port) as connection:
            connection.sendall(POST + b"Content-Length: 1000\r\n\r\nxyz")
            time.sleep(0.2)
        assert eventually(lambda: _statuses(caplog) == [499])
    assert not engine.asked
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_client_that_leaves_stops_the_work(caplog: pytest.LogCaptureFixture) -> None:
    engine = FakeEngine(gate=threading.Event())
    with caplog.at_level(logging.INFO), served(Settings(), engine) as port:
        with connected(port) as connection:
            connection.sendall(POST + b"Content-Length: 3\r\n\r\nxyz")
            assert eventually(lambda: bool(engine.asked))
        assert eventually(lambda: _statuses(caplog) == [499])
        assert "cancelled" in engine.events
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def _statuses(caplog: pytest.LogCaptureFixture) -> list[int]:
    lines = [json.loads(JsonFormatter().format(record)) for record in caplog.records]
    return [line["status"] for line in lines if line["event"] == "request"]


def test_nothing_names_the_server_software() -> None:
    with served(Settings(), FakeEngine()) as port:
        response = httpx.get(f"http://127.0.0.1:{port}/health")
    assert response.status_code == 200
    assert "server" not in response.headers


@pytest.mark.parametrize("stripped", [True, False])
def test_under_a_path_prefix(stripped: bool) -> None:
    with served(Settings(root_path="/deepfake"), FakeEngine()) as port:
        base = f"http://127.0.0.1:{port}" + ("" if stripped else "/deepfake")
        response = httpx.post(f"{base}/v1/detections", content=b"x", headers=OCTETS)
        schema = httpx.get(f"{base}/openapi.json").json()
        metrics = httpx.get(f"{base}/metrics").text
    assert response.status_code == 200
    assert schema["servers"] == [{"url": "/deepfake"}]
    assert '_count{method="POST",route="/v1/detections"} 1.0' in metrics


@pytest.mark.parametrize(("trusted", "scheme"), [("127.0.0.1", "https"), ("10.0.0.0/8", "http")])
async def test_forwarded_headers_are_believed_from_trusted_proxies_only(
    trusted: str, scheme: str
) -> None:
    async def send(message: object) -> None:
        pass

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b"", "more_body": False}

    chosen = Server(Settings(trusted_proxies=trusted), FakeEngine(), "127.0.0.1", 0).config
    chosen.load()
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/health",
        "raw_path": b"/health",
        "query_string": b"",
        "root_path": "",
        "headers": [(b"x-forwarded-proto", b"https"), (b"x-forwarded-for", b"8.8.8.8")],
        "client": ("127.0.0.1", 1234),
        "server": ("127.0.0.1", 80),
    }
    await chosen.loaded_app(scope, receive, send)  # type: ignore[arg-type]
    assert scope["scheme"] == scheme
    assert scope["client"][0] == ("8.8.8.8" if scheme == "https" else "127.0.0.1")


def test_headers_without_end_are_cut_off() -> None:
    with served(Settings(), FakeEngine()) as port, connected(port) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + b"x" * 40_000)
        assert connection.recv(65536).startswith(b"HTTP/1.1 431 ")
