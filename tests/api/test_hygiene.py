"""What browsers and caches are told, and that nothing a caller sends comes back."""

from __future__ import annotations

import re

import httpx
import pytest

from service.api.guard import HEADERS
from service.app import create_app
from service.settings import ServerSettings, Settings
from tests.api.client import OCTETS, client
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
