"""What browsers and caches are told, and that nothing a caller sends comes back."""

from __future__ import annotations

import logging
import re

import httpx
import pytest

from service.api.guard import HEADERS
from service.app import create_app
from service.engine import Readiness
from service.settings import AuthSettings, Limits, ServerSettings, Settings
from tests.api.client import OCTETS, client, problem
from tests.api.fakes import FakeEngine
from tests.api.served import TWO_MODELS

ORIGIN = "https://example.org"
SHARED = Settings(server=ServerSettings(cors_origins=[ORIGIN]))


def paths() -> list[tuple[str, str]]:
    """Every method and path of the service, and some it has not."""
    schema = create_app(Settings(), FakeEngine()).openapi()
    known = [
        (
            method.upper(),
            path.replace("{id}", "x").replace("{name}", "clrnet").replace("{code}", "busy"),
        )
        for path, operations in schema["paths"].items()
        for method in operations
    ]
    return [*known, ("GET", "/docs"), ("GET", "/nothing"), ("PATCH", "/v1/detections")]


async def test_every_answer_is_for_reading_alone() -> None:
    async with client(FakeEngine(readiness=TWO_MODELS)) as session:
        for method, path in paths():
            response = await session.request(method, path, content=b"x", headers=OCTETS)
            for name, value in HEADERS.items():
                if (path, name) != ("/docs", "Content-Security-Policy"):
                    assert response.headers[name] == value, (method, path)
            assert "access-control-allow-origin" not in response.headers
            assert "set-cookie" not in response.headers


async def test_the_schema_may_be_cached() -> None:
    async with client(FakeEngine()) as session:
        response = await session.get("/openapi.json")
    assert response.headers["cache-control"] == "public, max-age=3600"
    assert response.headers["x-content-type-options"] == "nosniff"


async def test_the_page_to_try_the_api_needs_nothing_from_elsewhere() -> None:
    async with client(FakeEngine()) as session:
        page = await session.get("/docs")
        wanted = re.findall(r'(?:src|href)="([^"]+)"', page.text)
        assert len(wanted) == 3
        for path in wanted:
            assert not path.startswith(("http", "/"))
            part = await session.get(f"/{path}")
            assert part.status_code == 200
            assert len(part.content) > 50
            kind = part.headers["content-type"].split(";")[0]
            assert kind == ("text/css" if path.endswith("css") else "text/javascript")
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self';")
    assert "frame-ancestors 'none'" in policy
    # The policy forbids scripts in the page itself.
    assert not re.search(r"<script(?! src=)", page.text)


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "[::1]", ""])
async def test_the_host_header_decides_nothing(host: str) -> None:
    headers = {"Host": host, "X-Forwarded-Host": "evil.example"}
    async with client(FakeEngine()) as session:
        for path in ("/v1/limits/", "//evil.example", "/v1/limits", "/docs/", "/openapi.json"):
            response = await session.get(httpx.URL(f"http://service{path}"), headers=headers)
            assert response.status_code in (200, 404)
            assert "location" not in response.headers
            assert "evil" not in response.text
        job = await session.post(
            "/v1/detections", content=b"x", headers=OCTETS | headers | {"Prefer": "respond-async"}
        )
    assert job.headers["location"].startswith("/v1/detections/")


PREFLIGHT = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "X-API-Key"}


@pytest.mark.parametrize(
    ("chosen", "origin", "allowed"),
    [(Settings(), ORIGIN, None), (SHARED, ORIGIN, ORIGIN), (SHARED, "https://evil.example", None)],
)
async def test_pages_of_named_origins_alone_may_call(
    chosen: Settings, origin: str, allowed: str | None
) -> None:
    async with client(FakeEngine(), chosen) as session:
        simple = await session.get("/v1/limits", headers={"Origin": origin})
        failed = await session.get("/nothing", headers={"Origin": origin})
        preflight = await session.options("/v1/detections", headers={"Origin": origin} | PREFLIGHT)
    for response in (simple, failed, preflight):
        assert response.headers.get("access-control-allow-origin") == allowed
        assert "access-control-allow-credentials" not in response.headers
        assert "evil" not in response.text
    assert (preflight.status_code == 200) == (allowed is not None)
    if allowed:
        assert "X-API-Key" in preflight.headers["access-control-allow-headers"]
        assert "Retry-After" in simple.headers["access-control-expose-headers"]
        assert simple.headers["cross-origin-resource-policy"] == "cross-origin"


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({}, None),
        ({"Origin": "https://evil.example"}, "cross_origin"),
        ({"Access-Control-Request-Method": "PATCH"}, "cross_origin"),
        ({"Access-Control-Request-Headers": "X-Evil"}, "cross_origin"),
    ],
    ids=["allowed", "origin", "method", "header"],
)
async def test_a_preflight_is_answered_like_any_other_request(
    asked: dict[str, str], code: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    headers = {"Origin": ORIGIN, "X-Request-ID": "preflight-1"} | PREFLIGHT | asked
    engine = FakeEngine()
    with caplog.at_level(logging.INFO, logger="service.access"):
        async with client(engine, SHARED) as session:
            response = await session.options("/v1/detections/secret", headers=headers)
            metrics = (await session.get("/metrics")).text
    if code is None:
        assert response.status_code == 200
    else:
        problem(response, 403, code)
    assert response.headers["x-request-id"] == "preflight-1"
    for name in HEADERS:
        assert name in response.headers
    (line,) = [record.fields for record in caplog.records if record.fields["method"] == "OPTIONS"]  # type: ignore[attr-defined]
    assert (line["route"], line["status"]) == ("/v1/detections/{id}", response.status_code)
    assert line["request_id"] == "preflight-1"
    counted = f'method="OPTIONS",route="/v1/detections/{{id}}",status="{response.status_code}"'
    assert f"http_requests_total{{{counted}}} 1.0" in metrics
    assert "evil" not in (response.text + str(response.headers)).lower()


@pytest.mark.parametrize(
    ("changed", "engine", "status"),
    [
        ({"auth": AuthSettings(keys=["alice:" + "0" * 64])}, FakeEngine(), 401),
        ({"limits": Limits(bytes=1)}, FakeEngine(), 413),
        ({"auth": AuthSettings(requests_per_minute=1e-9)}, FakeEngine(), 429),
        ({}, FakeEngine(error=RuntimeError("unexpected")), 500),
        ({}, FakeEngine(readiness=Readiness(ready=False)), 503),
    ],
)
async def test_pages_may_read_why_they_are_refused(
    changed: dict[str, object], engine: FakeEngine, status: int
) -> None:
    async with client(engine, SHARED.model_copy(update=changed)) as session:
        for _ in range(2):
            response = await session.post(
                "/v1/detections", content=b"xyz", headers=OCTETS | {"Origin": ORIGIN}
            )
    assert response.status_code == status
    assert response.headers["access-control-allow-origin"] == ORIGIN
    assert "X-Request-ID" in response.headers["access-control-expose-headers"]


async def test_what_nothing_expected_is_readable_for_pages_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = FakeEngine()
    async with client(engine, SHARED) as session:
        monkeypatch.setattr(engine, "readiness", lambda: None)
        response = await session.get("/health", headers={"Origin": ORIGIN})
    problem(response, 500, "internal")
    assert response.headers["access-control-allow-origin"] == ORIGIN
