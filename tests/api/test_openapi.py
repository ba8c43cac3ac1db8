"""The OpenAPI document is whole and tells the truth."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from service import wire
from service.api import problems
from service.api.examples import REPORT
from service.api.problems import MEDIA_TYPE
from service.api.query import DetectionQuery
from service.app import create_app
from service.errors import ServiceError
from service.report import Report
from service.settings import Settings
from tests.api.client import client
from tests.api.fakes import FakeEngine


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return create_app(Settings(), FakeEngine()).openapi()


def _values(node: object, key: str) -> Iterator[Any]:
    if isinstance(node, dict):
        for name, value in node.items():
            if name == key:
                yield value
            yield from _values(value, key)
    elif isinstance(node, list):
        for value in node:
            yield from _values(value, key)


def test_every_reference_resolves(schema: dict[str, Any]) -> None:
    references = set(_values(schema, "$ref"))
    assert "#/components/schemas/Problem" in references
    for reference in references:
        node: Any = schema
        for step in reference.removeprefix("#/").split("/"):
            node = node[step]


def test_the_upload_is_documented_as_it_is_read(schema: dict[str, Any]) -> None:
    operation = schema["paths"]["/v1/detections"]["post"]
    content = operation["requestBody"]["content"]
    bodies = {"multipart/form-data", "video/*", "application/octet-stream", "application/json"}
    assert set(content) == bodies
    assert content["application/json"]["schema"] == {"$ref": "#/components/schemas/Link"}
    assert schema["components"]["schemas"]["Link"]["required"] == ["url"]
    assert content["multipart/form-data"]["schema"]["required"] == ["file"]
    names = {parameter["name"] for parameter in operation["parameters"]}
    assert names == {*DetectionQuery.model_fields, "Prefer"}


def test_every_error_of_a_detection_is_documented_as_a_problem(schema: dict[str, Any]) -> None:
    responses = schema["paths"]["/v1/detections"]["post"]["responses"]
    documented = set()
    for status, response in responses.items():
        if int(status) < 400:
            continue
        content = response["content"][MEDIA_TYPE]
        assert content["schema"] == {"$ref": "#/components/schemas/Problem"}
        for code, example in content["examples"].items():
            assert problems.Problem.model_validate(example["value"]).status == int(status)
            documented.add(code)
    elsewhere = {"not_found", "method_not_allowed", "unknown_job", "other_replica", "cross_origin"}
    assert documented == set(problems.kinds()) - elsewhere


def test_what_any_request_may_get_is_documented_on_every_route(schema: dict[str, Any]) -> None:
    errors = [each for each in vars(wire).values() if isinstance(each, type)]
    codes = {each.code for each in errors if issubclass(each, ServiceError)}
    assert {"slow_body", "headers_too_large", "not_ready", "internal"} <= codes
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            documented = {
                code
                for response in operation["responses"].values()
                for code in response.get("content", {}).get(MEDIA_TYPE, {}).get("examples", {})
            }
            assert codes <= documented, (method, path)


def test_the_frameworks_own_error_form_is_nowhere(schema: dict[str, Any]) -> None:
    assert "HTTPValidationError" not in schema["components"]["schemas"]


def test_the_example_report_is_a_report(schema: dict[str, Any]) -> None:
    shown = schema["paths"]["/v1/detections"]["post"]["responses"]["200"]["content"]
    assert shown["application/json"]["example"] == REPORT
    assert Report.model_validate(REPORT).model_dump(mode="json", exclude_none=True) == REPORT


HOSTILE = [
    "",
    "x",
    "\x00",
    "\n",
    "%",
    "..",
    "a/b",
    "ä\U0001f3a5",
    "\ud800",
    "' OR 1",
    "{}",
    "x" * 5000,
]


@pytest.mark.parametrize("accept", ["", "*/*", "text/html", "application/json;q=", ";,;q=1"])
async def test_no_get_fails_whatever_is_asked(schema: dict[str, Any], accept: str) -> None:
    paths = [path for path, operations in schema["paths"].items() if "get" in operations]
    assert "/v2/models/{name}" in paths
    async with client(FakeEngine()) as session:
        for path, text in itertools.product(paths, HOSTILE):
            quoted = quote(text.encode("utf-8", "surrogatepass"), safe="")
            filled = path.replace("{name}", quoted).replace("{code}", quoted)
            response = await session.get(f"{filled}?{quoted}={quoted}", headers={"Accept": accept})
            assert response.status_code < 500 or response.json()["code"] == "not_ready"
            if response.status_code >= 400:
                assert response.headers["content-type"] == MEDIA_TYPE
