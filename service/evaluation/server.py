"""A running service as a scorer."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx2
from pydantic import ValidationError

from service.evaluation.manifest import Item
from service.evaluation.running import Refused
from service.report import Report
from service.sources.file import read_file

_TIMEOUT = httpx2.Timeout(30.0, read=4000.0)
"""Seconds. A report may take as long as the service lets a video take, which is an hour."""

_TRIES = 4
_PAUSE = 1.0


class ServerError(Exception):
    """The server cannot be reached, or is none of this kind: nothing more can be scored."""


class ServerScorer:
    """A context that scores with the service at ``url``, with an API key where it wants one; files
    are uploaded. ``query`` are parameters of ``POST /v1/detections``."""

    def __init__(
        self, url: str, key: str | None, query: Mapping[str, str], folder: Path, largest: int
    ) -> None:
        self._folder, self._largest = folder, largest
        self._query = {**query, "detail": "clips"}
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        try:
            self._client = httpx2.AsyncClient(base_url=url, headers=headers, timeout=_TIMEOUT)
        except httpx2.InvalidURL:
            raise ServerError("the server's URL is none") from None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._client.aclose()

    async def report(self, item: Item) -> Report:
        """See ``Scorer``. Raises ``ServerError``."""
        if item.url:
            answer = await self._post(json={"url": item.url})
        else:
            data = await asyncio.to_thread(read_file, self._folder / item.path, self._largest)
            octets = {"Content-Type": "application/octet-stream"}
            answer = await self._post(content=data, headers=octets)
        if answer.status_code != 200:
            raise _refused(answer)
        try:
            return Report.model_validate_json(answer.content)
        except ValidationError:
            raise ServerError("the server answers, but not with a report") from None

    async def _post(self, **request: Any) -> httpx2.Response:
        """A server that restarts is waited for."""
        for left in reversed(range(_TRIES)):
            try:
                return await self._client.post("v1/detections", params=self._query, **request)
            except (httpx2.UnsupportedProtocol, httpx2.InvalidURL):
                raise ServerError("the server's URL must begin with http:// or https://") from None
            except httpx2.TransportError as error:
                if not left:
                    name = type(error).__name__
                    raise ServerError(f"the server cannot be reached ({name})") from None
            await asyncio.sleep(_PAUSE * 2 ** (_TRIES - 1 - left))
        raise AssertionError("unreachable")


def _refused(answer: httpx2.Response) -> Refused | ServerError:
    try:
        problem = answer.json()
    except ValueError:
        problem = None
    if not isinstance(problem, dict) or "code" not in problem:
        if answer.status_code in (429, 502, 503, 504):  # A proxy in between.
            problem = {}
        else:
            return ServerError(f"the server answers with status {answer.status_code}")
    if answer.status_code == 401:
        return ServerError("the server wants an API key: set DEEPFAKE_KEY")
    code = str(problem.get("code", f"http_{answer.status_code}"))
    return Refused(answer.status_code, code, _seconds(answer.headers.get("retry-after")))


def _seconds(text: str | None) -> float | None:
    try:
        return max(0.0, float(text)) if text else None
    except ValueError:
        return None
