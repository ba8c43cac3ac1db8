"""Answers to the requests of a page in the place of the service behind it."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterable
from typing import Any

from playwright.async_api import Page, Request, Route, expect

from service.api.accept import NDJSON
from service.api.examples import REPORT
from service.api.problems import MEDIA_TYPE, describe, document, kinds
from service.errors import ServiceError

_DETECTIONS = re.compile(r"/v1/detections(\?|$)")

Answer = dict[str, Any] | None
"""What ``route.fulfill`` takes; None is a connection that is refused."""


def problem(code: str, detail: str = "", retry_after: int | None = None) -> Answer:
    """The problem of this code; one that the service does not know is an internal error by its
    other fields."""
    kind = kinds().get(code, ServiceError)
    told = document(kind(detail or describe(kind)), "0f8fad5bd9cb469fa16570867728950e")
    headers = {"Content-Type": MEDIA_TYPE, "X-Request-ID": told.request_id}
    if retry_after is not None:
        headers["Retry-After"] = str(retry_after)
    body = told.model_dump() | {"code": code, "type": f"/problems/{code}"}
    return {"status": kind.status, "headers": headers, "body": json.dumps(body)}


def stream(*events: object) -> Answer:
    """A stream of these events; text stands in it as it is."""
    lines = (each if isinstance(each, str) else json.dumps(each) for each in events)
    body = "".join(f"{line}\n" for line in lines)
    return {"status": 200, "headers": {"Content-Type": NDJSON}, "body": body}


def finished(report: dict[str, Any]) -> Answer:
    """The stream of a work that went well."""
    segments = (
        {"event": "segment", "face": face["id"], "segment": segment}
        for face in report["faces"]
        for segment in face["segments"]
    )
    return stream(progress(), *segments, {"event": "report", "report": report})


def progress() -> dict[str, Any]:
    """An event in the middle of the work."""
    return {"event": "progress", "position": 5.0, "duration": 10.0, "clips": 20}


def example(**changed: Any) -> dict[str, Any]:
    """The example report of the API's documentation with other fields."""
    return copy.deepcopy(REPORT) | changed


class FakeApi:
    """Answers detections of one page in the order given, the last answer again and again."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.asked: list[Request] = []
        self._answers: list[Answer] = []

    async def attach(self) -> None:
        """From now on."""
        await self.page.route(_DETECTIONS, self._answer)

    def answers(self, *answers: Answer) -> None:
        """In the place of those that are left."""
        self._answers = list(answers)

    async def lists(self, path: str, content: object) -> None:
        """Answer another path of the API with this JSON."""
        await self.page.route(f"**{path}", lambda route: route.fulfill(json=content))

    async def _answer(self, route: Route) -> None:
        self.asked.append(route.request)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if answer is None:
            await route.abort("connectionrefused")
        else:
            await route.fulfill(**answer)


async def choose(page: Page, video: bytes, name: str = "video.mp4") -> None:
    """Choose a file."""
    file = {"name": name, "mimeType": "video/mp4", "buffer": video}
    await page.set_input_files("#file", files=[file])  # type: ignore[list-item]


async def analyse(page: Page, video: bytes, name: str = "video.mp4") -> None:
    """The same, and begin."""
    await choose(page, video, name)
    await page.click("#analyse")


async def give_key(page: Page, key: str) -> None:
    """Enter a key, which the page asks for where the service has keys alone."""
    row = page.locator("#key-row")
    await expect(row).to_be_hidden()
    await row.evaluate("(row) => { row.hidden = false; }")
    await page.fill("#key", key)
    await page.press("#key", "Tab")


def with_texts(report: Any, text: str, kept: Iterable[str]) -> Any:
    """The same with this text in the place of every other, but in the fields that are kept."""
    if isinstance(report, dict):
        return {
            key: value if key in kept else with_texts(value, text, kept)
            for key, value in report.items()
        }
    if isinstance(report, list):
        return [with_texts(each, text, kept) for each in report]
    return text if isinstance(report, str) else report
