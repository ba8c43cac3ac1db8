"""Everything that is no success is a problem document, and nothing a caller sent is logged."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from service import errors
from service.api import problems
from service.logs import JsonFormatter
from tests.api.client import OCTETS, client, problem
from tests.api.fakes import FakeEngine

DOCS = Path(__file__).resolve().parents[2] / "docs" / "errors.md"


@pytest.mark.parametrize(
    "path", ["/page", "/nothing", "/v1/limits/", "/v1/detections/x/y", "/%2e%2e/x"]
)
async def test_unknown_paths(path: str) -> None:
    async with client(FakeEngine()) as session:
        problem(await session.get(path), 404, "not_found")


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", "/v1/detections", "POST"),
        ("PATCH", "/v1/detections", "POST"),
        ("POST", "/v1/limits", "GET"),
        ("ODD", "/health", "GET"),
    ],
)
async def test_other_methods(method: str, path: str, allow: str) -> None:
    async with client(FakeEngine()) as session:
        response = await session.request(method, path)
    problem(response, 405, "method_not_allowed")
    assert response.headers["allow"] == allow


async def test_an_unexpected_exception_tells_nothing(caplog: pytest.LogCaptureFixture) -> None:
    engine = FakeEngine(error=ValueError("SECRET /tmp/video.mp4"))
    with caplog.at_level(logging.INFO):
        async with client(engine) as session:
            response = await session.post(
                "/v1/detections?sampling=full", content=b"x", headers=OCTETS
            )
    body = problem(response, 500, "internal")
    lines = [JsonFormatter().format(record) for record in caplog.records]
    failed = next(json.loads(line) for line in lines if '"failed"' in line)
    assert failed["exception"] == "ValueError"
    assert failed["at"].startswith("detect:")
    assert failed["request_id"] == body["request_id"]
    assert not any("SECRET" in line for line in [*lines, response.text])


async def test_one_log_line_without_the_path_or_the_query(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO, logger="service"):
        async with client(FakeEngine()) as session:
            await session.get("/v2/models/SECRET?SECRET=1")
            await session.get("/SECRET")
            await session.post("/v1/detections", files={"file": ("SECRET.mp4", b"x")})
    lines = [json.loads(JsonFormatter().format(record)) for record in caplog.records]
    assert [(line["method"], line["route"], line["status"]) for line in lines] == [
        ("GET", "/v2/models/{name}", 404),
        ("GET", "unmatched", 404),
        ("POST", "/v1/detections", 200),
    ]
    assert all(line["bytes"] > 0 and line["ms"] >= 0 and line["request_id"] for line in lines)
    assert "SECRET" not in json.dumps(lines)


def test_a_logged_exception_is_its_type_alone() -> None:
    try:
        raise ValueError("SECRET")
    except ValueError as error:
        info = (type(error), error, error.__traceback__)
    record = logging.LogRecord("x", logging.ERROR, __file__, 1, "failed", None, info)
    line = JsonFormatter().format(record)
    assert json.loads(line)["exception"] == "ValueError"
    assert "SECRET" not in line
    assert "\n" not in line


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("abcDEF-123_4", True),
        ("short", False),
        ("x" * 65, False),
        ("abcdefgh ijk", False),
        ('abcdefgh"}', False),
    ],
)
async def test_a_request_id_is_kept_only_if_harmless(given: str, kept: bool) -> None:
    async with client(FakeEngine()) as session:
        response = await session.get("/health", headers={"X-Request-ID": given})
        other = await session.get("/health")
    answered = response.headers["x-request-id"]
    assert (answered == given) == kept
    assert len(other.headers["x-request-id"]) == 32
    assert other.headers["x-request-id"] != answered


async def test_every_kind_of_problem_is_explained_where_its_type_points() -> None:
    async with client(FakeEngine()) as session:
        for code, kind in problems.kinds().items():
            body = (await session.get(f"/problems/{code}")).json()
            assert body["type"] == f"/problems/{code}"
            assert body["status"] == kind.status
            assert body["description"].endswith(".")
        problem(await session.get("/problems/none"), 404, "not_found")


def test_codes_are_unique_and_documented() -> None:
    def family(kind: type[errors.ServiceError]) -> list[type[errors.ServiceError]]:
        return [kind, *(each for child in kind.__subclasses__() for each in family(child))]

    kinds = problems.kinds()
    # A kind within a kind is told as the outer one.
    named = [kind for kind in family(errors.ServiceError) if "code" in vars(kind)]
    assert sorted(kinds) == sorted(kind.code for kind in named)
    assert set(kinds.values()) == set(named)
    rows = [line.split("|") for line in DOCS.read_text().splitlines() if line.startswith("| `")]
    documented = {row[1].strip(" `"): int(row[2]) for row in rows}
    assert documented == {code: kind.status for code, kind in kinds.items()}
