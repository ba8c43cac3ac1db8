"""The OpenAPI document against the service: whatever is sent, each answer is one it announces."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import Case, Response, SerializationContext
from schemathesis.checks import CheckFunction
from schemathesis.specs.openapi import checks

from service.api.problems import MEDIA_TYPE, Problem, kinds
from service.app import create_app
from service.auth import entry, new_key
from service.errors import ServiceError, Undecodable
from service.settings import AuthSettings, FetchSettings, JobSettings, Limits, Settings
from tests.api.fakes import FakeEngine
from tests.api.served import TWO_MODELS
from tests.api.wire import served
from tests.origin.running import running_site

KEY = new_key()
SETTINGS = Settings(
    auth=AuthSettings(keys=[entry("tester", KEY)]),
    limits=Limits(drain_seconds=0.1),
    jobs=JobSettings(most=20, replica="here"),
    # The example of a link would be looked up.
    fetch=FetchSettings(ports=[1]),
)
schema = schemathesis.openapi.from_dict(create_app(SETTINGS, FakeEngine()).openapi())


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Where the service answers, over a real connection."""
    with served(SETTINGS, FakeEngine(readiness=TWO_MODELS)) as port:
        yield f"http://127.0.0.1:{port}"


@schemathesis.serializer("video/*", "application/x-ndjson", "text/csv")
def plain(_: SerializationContext, value: Any) -> bytes:
    """The bytes as they are."""
    return value if isinstance(value, bytes) else str(value).encode()


CHECKS: list[CheckFunction] = [
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]


@schema.parametrize()
@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
def test_every_answer_is_announced(case: Case, url: str) -> None:
    response = case.call(base_url=url, headers={"X-API-Key": KEY})
    case.validate_response(response, checks=CHECKS)
    judge(response)


@schema.parametrize()
@settings(max_examples=5, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_so_is_every_answer_without_a_key(case: Case, url: str) -> None:
    response = case.call(base_url=url)
    case.validate_response(response, checks=CHECKS)
    judge(response)


@pytest.mark.parametrize(
    ("error", "status"),
    [(None, "done"), (Undecodable("no video"), "failed")],
    ids=["done", "failed"],
)
def test_so_is_the_answer_of_a_job_that_is_over(error: ServiceError | None, status: str) -> None:
    """Generated ids name no job."""
    headers = {"X-API-Key": KEY, "Content-Type": "video/mp4", "Prefer": "respond-async"}
    with served(SETTINGS, FakeEngine(readiness=TWO_MODELS, error=error)) as port:
        url = f"http://127.0.0.1:{port}"
        taken = httpx.post(f"{url}/v1/detections", content=b"a video", headers=headers)
        case = schema["/v1/detections/{id}"]["GET"].Case(path_parameters={"id": taken.json()["id"]})
        for _ in range(100):
            response = case.call(base_url=url, headers={"X-API-Key": KEY})
            case.validate_response(response, checks=CHECKS)
            if response.json()["status"] == status:
                break
            time.sleep(0.05)
    assert (response.status_code, response.json()["status"]) == (200, status)
    assert (response.json()["report"] is None) == (response.json()["problem"] is not None)


@pytest.mark.parametrize(
    ("link", "status"),
    [
        ("http://{host}/ranges/video", 200),
        ("http://{host}/ranges/page", 422),
        ("http://{host}/whole/nothing", 502),
        ("http://{host}/silent/video", 504),
        ("http://10.0.0.1/", 422),
    ],
)
@pytest.mark.parametrize("accept", ["application/json", "application/x-ndjson"])
def test_so_is_the_answer_to_a_link(link: str, status: int, accept: str) -> None:
    """Generated ones lead nowhere."""
    with running_site() as site:
        site.put(b"a video")
        site.put(b"<html>", "page")
        fetch = FetchSettings(ports=[80, site.port], loopback=True, idle_seconds=0.5)
        chosen = SETTINGS.model_copy(update={"fetch": fetch})
        with served(chosen, FakeEngine(readiness=TWO_MODELS)) as port:
            case = schema["/v1/detections"]["POST"].Case(
                body={"url": link.format(host=f"127.0.0.1:{site.port}")},
                media_type="application/json",
            )
            headers = {"X-API-Key": KEY, "Accept": accept}
            response = case.call(base_url=f"http://127.0.0.1:{port}", headers=headers)
    case.validate_response(response, checks=CHECKS)
    assert response.status_code == status
    judge(response, worst=504)


def judge(response: Response, worst: int = 499) -> None:
    """No failure of the service's own, and every error a problem of a known kind."""
    assert response.status_code <= worst
    if response.status_code >= 400:
        assert response.headers["content-type"] == [MEDIA_TYPE]
        problem = Problem.model_validate(json.loads(response.content))
        kind = kinds()[problem.code]
        assert (problem.status, problem.title) == (response.status_code, kind.title)
