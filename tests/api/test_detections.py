"""What a caller asks for and is told."""

from __future__ import annotations

import pytest

from service import errors
from service.engine import DetectionOptions, Readiness
from service.report import Report
from tests.api.client import OCTETS, client, problem
from tests.api.fakes import FakeEngine
from tests.api.served import TWO_MODELS


async def test_the_answer_is_a_report_that_no_cache_keeps() -> None:
    async with client(FakeEngine()) as session:
        response = await session.post("/v1/detections", content=b"video", headers=OCTETS)
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert response.headers["cache-control"] == "no-store"
    report = Report.model_validate_json(response.content)
    assert report.media.bytes == 5
    timing = dict(entry.split(";dur=") for entry in response.headers["server-timing"].split(", "))
    assert list(timing) == [
        *("receive", "fetch", "queued", "extract", "classify", "halted", "held_back", "total")
    ]
    assert float(timing["extract"]) == report.timing.extract * 1000


@pytest.mark.parametrize(
    ("query", "options"),
    [
        ("", DetectionOptions("auto", "summary", False)),
        ("?sampling=full&detail=full&explain=true", DetectionOptions("full", "full", True)),
        ("?sampling=paper", DetectionOptions("paper")),
        ("?start=1.5&end=9&faces=2", DetectionOptions(start=1.5, end=9.0, faces=2)),
        ("?model=clrnet", DetectionOptions(model="clrnet")),
        ("?model=both", DetectionOptions(model="both")),
        ("?sampling=stride%3D0.5", DetectionOptions("stride=0.5")),
    ],
)
async def test_the_query_reaches_the_engine(query: str, options: DetectionOptions) -> None:
    engine = FakeEngine(readiness=TWO_MODELS)
    async with client(engine) as session:
        await session.post(f"/v1/detections{query}", content=b"video", headers=OCTETS)
    assert engine.asked[0][1] == options


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("sampling=EVILtext", "sampling"),
        ("sampling=stride=EVIL", "sampling"),
        ("sampling=stride=-1", "sampling"),
        ("sampling=full%0A", "sampling"),
        ("detail=EVIL", "detail"),
        ("explain=EVIL", "explain"),
        ("start=EVIL", "start"),
        ("start=-1", "start"),
        ("start=nan", "start"),
        ("end=inf", "end"),
        ("end=0", "end"),
        ("start=3&end=3", "end"),
        ("faces=0", "faces"),
        ("faces=1.5", "faces"),
        ("model=", "model"),
        ("model=" + 129 * "x", "model"),
        ("EVIL=1", "a parameter"),
    ],
)
async def test_a_wrong_query_is_named_and_not_echoed(query: str, named: str) -> None:
    engine = FakeEngine()
    async with client(engine) as session:
        response = await session.post(f"/v1/detections?{query}", content=b"x", headers=OCTETS)
    assert named in problem(response, 400, "malformed_request")["detail"]
    assert "EVIL" not in response.text
    assert not engine.asked


async def test_an_unknown_model_is_refused() -> None:
    engine = FakeEngine(readiness=TWO_MODELS)
    async with client(engine) as session:
        response = await session.post("/v1/detections?model=EVIL", content=b"x", headers=OCTETS)
    problem(response, 400, "unknown_model")
    assert "EVIL" not in response.text
    assert not engine.asked


@pytest.mark.parametrize(
    "error",
    [
        errors.Undecodable("no video"),
        errors.NoVideo("audio only"),
        errors.OverLimits("too long"),
        errors.TooSlow("too slow"),
        errors.NotReady("stopping", retry_after=1.2),
    ],
)
async def test_an_engine_error_is_its_problem(error: errors.ServiceError) -> None:
    async with client(FakeEngine(error=error)) as session:
        response = await session.post("/v1/detections", content=b"x", headers=OCTETS)
    assert problem(response, error.status, error.code)["detail"] == error.detail
    if error.retry_after is not None:
        assert response.headers["retry-after"] == "2"


async def test_a_service_that_is_not_ready_says_so_before_reading() -> None:
    engine = FakeEngine(readiness=Readiness(ready=False, missing=("the model is missing",)))
    async with client(engine) as session:
        response = await session.post("/v1/detections", content=b"x", headers=OCTETS)
    assert problem(response, 503, "not_ready")["detail"] == "the model is missing"
    assert int(response.headers["retry-after"]) > 0
    assert not engine.asked


@pytest.mark.parametrize(
    ("accept", "served"),
    [
        ("application/json", True),
        ("*/*", True),
        ("text/html, application/*;q=0.1", True),
        ("text/html", False),
        ("application/json;q=0, text/html", False),
        ("application/problem+json", False),
        ("application/json;q=x", False),
    ],
)
async def test_the_accept_header_is_respected(accept: str, served: bool) -> None:
    async with client(FakeEngine()) as session:
        headers = OCTETS | {"Accept": accept}
        response = await session.post("/v1/detections", content=b"x", headers=headers)
    if served:
        assert response.status_code == 200
    else:
        problem(response, 406, "not_acceptable")


async def test_the_engine_lives_as_long_as_the_app() -> None:
    engine = FakeEngine()
    async with client(engine):
        assert engine.events == ["start"]
    assert engine.events == ["start", "stop"]
