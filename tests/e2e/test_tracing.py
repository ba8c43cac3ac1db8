"""Spans as a collector gets them, from a server in a process of its own."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from service import tracing
from service.errors import ModelError
from tests import media
from tests.security.server_process import ServerProcess, free_port, process

SECRET = "7b53c1"
STAGES = {"receive", "queued", "extract", "classify", "report"}
CALLER = "00f067aa0ba902b7"


class Collector:
    """Takes spans by OTLP over HTTP."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.bodies: list[bytes] = []

    def spans(self, trace: str, count: int) -> dict[str, Span]:
        """Those of a trace by name, once so many are there."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            found = {each.name: each for each in self._all() if each.trace_id.hex() == trace}
            if len(found) >= count:
                return found
            time.sleep(0.05)
        raise AssertionError(f"only {sorted(found)} came")

    def _all(self) -> Iterator[Span]:
        for body in list(self.bodies):
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                for scope in resource.scope_spans:
                    yield from scope.spans


@contextmanager
def collecting() -> Iterator[Collector]:
    collector = Collector(0)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/traces"
            body = self.rfile.read(int(self.headers["Content-Length"]))
            collector.bodies.append(body)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *words: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    collector.port = server.server_port
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield collector
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with collecting() as running:
        yield running


@pytest.fixture(scope="module")
def server(
    collector: Collector, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerProcess]:
    port = free_port()
    command = [sys.executable, "-m", "service", "serve", "--port", str(port)]
    variables = {
        "DEEPFAKE_TRACING": "true",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.port}",
        "OTEL_BSP_SCHEDULE_DELAY": "100",
    }
    with process(command, port, tmp_path_factory.mktemp("server"), variables) as running:
        yield running


def post(server: ServerProcess, body: bytes, trace: str, **headers: str) -> httpx.Response:
    sent = {
        "Content-Type": "application/octet-stream",
        "traceparent": f"00-{trace}-{CALLER}-01",
        "tracestate": f"vendor={SECRET}",
        "User-Agent": SECRET,
        "X-File": SECRET,
    }
    return httpx.post(
        f"{server.url}/v1/detections?sampling=full",
        content=body,
        headers=sent | headers,
        timeout=60,
    )


def attributes(span: Span) -> dict[str, Any]:
    return {
        each.key: getattr(each.value, each.value.WhichOneof("value") or "string_value")
        for each in span.attributes
    }


def test_every_stage_of_a_request_belongs_to_the_callers_trace(
    server: ServerProcess, collector: Collector
) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    response = post(server, media.group_video(15), trace)
    assert response.status_code == 200
    spans = collector.spans(trace, 6)
    request = spans.pop("POST /v1/detections")
    assert set(spans) == STAGES
    assert request.parent_span_id.hex() == CALLER
    told = attributes(request)
    assert told["http.response.status_code"] == 200
    assert told["request_id"] == response.headers["x-request-id"]
    for span in spans.values():
        assert span.parent_span_id == request.span_id
        assert request.start_time_unix_nano <= span.start_time_unix_nano
        assert span.start_time_unix_nano <= span.end_time_unix_nano <= request.end_time_unix_nano
    begins = [spans[name].start_time_unix_nano for name in ("receive", "queued", "extract")]
    assert begins == sorted(begins)
    assert spans["queued"].end_time_unix_nano <= spans["extract"].start_time_unix_nano
    assert spans["extract"].start_time_unix_nano < spans["classify"].start_time_unix_nano
    assert spans["classify"].start_time_unix_nano < spans["extract"].end_time_unix_nano
    timing, coverage = response.json()["timing"], response.json()["coverage"]
    assert attributes(spans["extract"])["seconds"] == pytest.approx(timing["extract"])
    assert attributes(spans["classify"])["seconds"] == pytest.approx(timing["classify"])
    assert attributes(spans["classify"])["clips"] == coverage["clips_scored"]
    lines = [json.loads(line) for line in server.log]
    (logged,) = (each for each in lines if each.get("trace_id") == trace)
    assert (logged["event"], logged["request_id"]) == ("request", told["request_id"])


def test_an_error_is_told_by_its_code_alone(server: ServerProcess, collector: Collector) -> None:
    trace = "5bf92f3577b34da6a3ce929d0e0e4737"
    assert post(server, SECRET.encode() * 100, trace).json()["code"] == "undecodable"
    spans = collector.spans(trace, 4)
    assert set(spans) == {"POST /v1/detections", "receive", "queued", "extract"}
    assert attributes(spans["POST /v1/detections"])["error.type"] == "undecodable"
    assert attributes(spans["extract"])["error.type"] == "undecodable"
    assert spans["extract"].status.code == Status.STATUS_CODE_ERROR
    assert not spans["extract"].status.message
    assert not any(span.events for span in spans.values())


def test_nothing_that_a_caller_sent_is_told(server: ServerProcess, collector: Collector) -> None:
    trace = "6bf92f3577b34da6a3ce929d0e0e4738"
    url = f"http://{SECRET}.invalid/{SECRET}"
    answer = post(
        server, json.dumps({"url": url}).encode(), trace, **{"Content-Type": "application/json"}
    )
    assert answer.status_code >= 400
    other = "7bf92f3577b34da6a3ce929d0e0e4739"
    httpx.get(
        f"{server.url}/{SECRET}?{SECRET}={SECRET}",
        headers={"traceparent": f"00-{other}-{CALLER}-01"},
    )
    collector.spans(trace, 2)
    collector.spans(other, 1)
    told = b"".join(collector.bodies)
    assert b"POST /v1/detections" in told
    assert SECRET.encode() not in told
    assert b"url." not in told
    assert b"unmatched" in told


def test_a_collector_that_is_gone_holds_nothing_up(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    port = free_port()
    command = [sys.executable, "-m", "service", "serve", "--port", str(port)]
    variables = {
        "DEEPFAKE_TRACING": "true",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{free_port()}",
        "OTEL_BSP_SCHEDULE_DELAY": "10",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "1",
    }
    with process(command, port, tmp_path_factory.mktemp("alone"), variables) as running:
        for number in range(3):
            answer = post(running, media.group_video(10), f"{number + 1:032x}")
            assert answer.status_code == 200
    assert running.ended(40) == 0


def test_tracing_that_is_not_installed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match="the extra 'tracing'"):
        tracing.configure()
