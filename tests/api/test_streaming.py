"""Events as they come, on real connections."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from service import errors
from service.api.accept import JSON, NDJSON, SSE, negotiate
from service.api.events import StreamedEvent
from service.engine import Progress, SegmentScored
from service.settings import Limits, ServerSettings, Settings
from tests.api.client import OCTETS, client, problem
from tests.api.fakes import EXAMPLE, SEGMENT, FakeEngine
from tests.api.wire import connected, eventually, served

HALF = Progress(5.0, 10.0, 20)


@contextmanager
def streaming(port: int, form: str, path: str = "/v1/detections") -> Iterator[httpx.Response]:
    """A stream whose head has arrived."""
    request = {"content": b"xyz", "headers": OCTETS | {"Accept": form}}
    with httpx.stream("POST", f"http://127.0.0.1:{port}{path}", timeout=10, **request) as response:
        yield response


def events(lines: Iterator[str], form: str) -> Iterator[dict[str, Any]]:
    """The events of a stream, each checked against its schema."""
    name = None
    for line in lines:
        if form == SSE and line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line and line != ":":
            document = json.loads(line.removeprefix("data: ") if form == SSE else line)
            StreamedEvent.model_validate(document)
            assert form == NDJSON or document["event"] == name
            yield document


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("", JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        ("text/*", SSE),
        ("text/event-stream", SSE),
        ("Application/X-NDJSON; q=0.5", NDJSON),
        ("text/event-stream;q=0.4, application/x-ndjson;q=0.6", NDJSON),
        ("application/json;q=0.4, text/event-stream;q=0.5, */*;q=0.1", SSE),
        ("application/json, text/event-stream", JSON),
        ("application/json;q=0, */*", NDJSON),
        ("application/json;q=0, application/*;q=0, */*;q=0.1", SSE),
        ("text/html, image/*", None),
        ("application/x-ndjson;q=0", None),
        ("text/event-stream;q=high", None),
        (";,;q=1", None),
    ],
)
def test_the_form_with_the_highest_quality_is_chosen(accept: str, chosen: str | None) -> None:
    assert negotiate(accept, (JSON, NDJSON, SSE)) == chosen


@pytest.mark.parametrize("form", [NDJSON, SSE])
def test_events_arrive_as_they_come(form: str) -> None:
    gate = threading.Event()
    engine = FakeEngine(told=[HALF, SEGMENT], gate=gate, then=[Progress(10.0, 10.0, 49)])
    with served(Settings(), engine) as port, streaming(port, form) as response:
        assert response.headers["content-type"].split(";")[0] == form
        assert response.headers["cache-control"] == "no-store"
        assert response.headers["x-accel-buffering"] == "no"
        come = events(response.iter_lines(), form)
        first = [next(come), next(come)]
        assert {event["event"] for event in first} == {"progress", "segment"}
        segment = next(event for event in first if event["event"] == "segment")
        assert segment["face"] == 1
        assert segment["segment"]["score"] == 0.95
        gate.set()
        rest = list(come)
    assert rest[0] == {"event": "progress", "position": 10.0, "duration": 10.0, "clips": 49}
    assert rest[-1]["event"] == "report"
    assert rest[-1]["report"]["verdict"] == EXAMPLE.verdict
    assert rest[-1]["report"]["media"]["bytes"] == 3


@pytest.mark.parametrize("form", [NDJSON, SSE])
async def test_work_that_is_faster_than_its_stream_tells_all(form: str) -> None:
    engine = FakeEngine(told=[HALF, SEGMENT, SEGMENT])
    async with client(engine) as session:
        response = await session.post(
            "/v1/detections", content=b"x", headers=OCTETS | {"Accept": form}
        )
    names = [event["event"] for event in events(iter(response.text.split("\n")), form)]
    assert names == ["segment", "segment", "progress", "report"]


@pytest.mark.parametrize("form", [NDJSON, SSE])
async def test_an_error_before_anything_is_told_is_an_ordinary_problem(form: str) -> None:
    engine = FakeEngine(told=[], error=errors.NoVideo("audio only"))
    headers = OCTETS | {"Accept": form}
    async with client(engine) as session:
        response = await session.post("/v1/detections", content=b"x", headers=headers)
        problem(response, 422, "no_video")
        response = await session.post("/v1/detections", content=b"", headers=headers)
        problem(response, 400, "empty_body")


@pytest.mark.parametrize("form", [NDJSON, SSE])
@pytest.mark.parametrize(
    ("error", "code"),
    [(errors.TooSlow("too slow"), "too_slow"), (ValueError("SECRET"), "internal")],
)
def test_an_error_later_is_the_last_event(form: str, error: Exception, code: str) -> None:
    engine = FakeEngine(told=[HALF], error=error)
    with served(Settings(), engine) as port, streaming(port, form) as response:
        last = list(events(response.iter_lines(), form))[-1]
        assert last["event"] == "error"
        assert last["problem"]["code"] == code
        assert last["problem"]["request_id"] == response.headers["x-request-id"]
        assert "SECRET" not in str(last)


@pytest.mark.parametrize("told", [[], [HALF]], ids=["waiting", "working"])
@pytest.mark.parametrize(("form", "sign"), [(NDJSON, '{"event":"progress"'), (SSE, ":")])
def test_silence_is_filled_with_signs_of_life(form: str, sign: str, told: list[Progress]) -> None:
    chosen = Settings(server=ServerSettings(heartbeat_seconds=0.1))
    gate = threading.Event()
    engine = FakeEngine(told=told, gate=gate)
    with served(chosen, engine) as port, streaming(port, form) as response:
        lines = response.iter_lines()
        signs = 0
        while signs < 4:
            signs += next(lines).startswith(sign)
        gate.set()
        assert list(events(lines, form))[-1]["event"] == "report"


@pytest.mark.parametrize("form", [NDJSON, SSE])
def test_a_client_that_leaves_its_stream_stops_the_work_within_two_seconds(form: str) -> None:
    engine = FakeEngine(told=[HALF], gate=threading.Event())
    with served(Settings(), engine) as port:
        with streaming(port, form) as response:
            next(response.iter_lines())
        left = time.monotonic()
        assert eventually(lambda: "cancelled" in engine.events)
        assert time.monotonic() - left < 2
        metrics = httpx.get(f"http://127.0.0.1:{port}/metrics").text
    assert 'status="499"} 1.0' in metrics
    assert "deepfake_videos_held 0.0" in metrics


def test_a_client_that_does_not_read_holds_no_work_up() -> None:
    many = [SegmentScored(number, SEGMENT.segment) for number in range(100_000)]
    engine = FakeEngine(told=many)
    limits = Limits(concurrency=1, waiting=1)
    with served(Settings(limits=limits), engine) as port, connected(port) as deaf:
        deaf.sendall(
            b"POST /v1/detections HTTP/1.1\r\nHost: x\r\nContent-Type: video/mp4\r\n"
            b"Accept: application/x-ndjson\r\nContent-Length: 1\r\n\r\nx"
        )
        address = f"http://127.0.0.1:{port}/metrics"
        assert eventually(lambda: "deepfake_score_count" in httpx.get(address).text)
        assert eventually(lambda: "deepfake_videos_held 0.0" in httpx.get(address).text)
        assert deaf.recv(16).startswith(b"HTTP/1.1 200")
