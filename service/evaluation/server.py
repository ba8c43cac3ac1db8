"""A running service as a scorer."""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx2
from pydantic import ValidationError

from service.evaluation.manifest import Item
from service.evaluation.running import Refused, Stopped
from service.report import Report
from service.sources.file import read_file

_TIMEOUT = httpx2.Timeout(30.0, read=4000.0)
"""Seconds. A report may take as long as the service lets a video take, which is an hour."""

_TRIES = 4
_PAUSE = 1.0
_LARGEST = 2**32
"""Bytes of a file that is uploaded; the service has a bound of its own."""

_CODE = re.compile(r"[a-z0-9_]{1,64}")
_PROXIES = frozenset({502, 503, 504})
"""What proxies answer while nobody is behind them."""


class ServerError(Stopped):
    """The server cannot be reached, or is none of this kind."""


class ServerScorer:
    """A context that scores with the service at ``url``, with an API key where it wants one; files
    are uploaded. ``query`` are parameters of ``POST /v1/detections``. Raises ``ServerError`` at its
    beginning too."""

    def __init__(self, url: str, key: str | None, query: Mapping[str, str], folder: Path) -> None:
        self._folder = folder
        self._query = {**query, "detail": "clips"}
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        try:
            self._client = httpx2.AsyncClient(base_url=url, headers=headers, timeout=_TIMEOUT)
        except httpx2.InvalidURL:
            raise ServerError("the server's URL is none") from None

    async def __aenter__(self) -> Self:
        try:
            await self._require_alive()
        except BaseException:
            await self._client.aclose()
            raise
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
            data = await asyncio.to_thread(read_file, self._folder / item.path, _LARGEST)
            octets = {"Content-Type": "application/octet-stream"}
            answer = await self._post(content=data, headers=octets)
        if answer.status_code == 401:
            raise ServerError("the server wants an API key: set DEEPFAKE_KEY")
        if answer.status_code != 200:
            raise _refused(answer)
        try:
            return Report.model_validate_json(answer.content)
        except ValidationError:
            raise Refused(502, "no_report") from None

    async def wait(self, seconds: float) -> None:
        """See ``Scorer``."""
        await asyncio.sleep(seconds)

    async def _post(self, **request: Any) -> httpx2.Response:
        """A connection that breaks is one video's trouble as long as the server is there."""
        try:
            return await self._client.post("v1/detections", params=self._query, **request)
        except httpx2.TransportError:
            await self._require_alive()
            raise Refused(503, "connection_lost") from None

    async def _require_alive(self) -> None:
        """Wait for a server that restarts."""
        for left in reversed(range(_TRIES)):
            try:
                answer = await self._client.get("v2/health/live", timeout=30.0)
            except (httpx2.UnsupportedProtocol, httpx2.InvalidURL):
                raise ServerError("the server's URL must begin with http:// or https://") from None
            except httpx2.TransportError as error:
                if not left:
                    name = type(error).__name__
                    raise ServerError(f"the server cannot be reached ({name})") from None
            else:
                if answer.status_code == 200:
                    return
                if answer.status_code not in _PROXIES or not left:
                    raise ServerError(f"/v2/health/live there is answered {answer.status_code}")
            await asyncio.sleep(_PAUSE * 2 ** (_TRIES - 1 - left))


def _refused(answer: httpx2.Response) -> Refused:
    status = answer.status_code
    try:
        code = answer.json()["code"]
    except (ValueError, TypeError, KeyError):
        code = None
    if not isinstance(code, str) or not _CODE.fullmatch(code):
        # Not the service speaks, but a proxy before it.
        code = f"http_{status}"
        status = 503 if status in _PROXIES else status
    return Refused(status, code, _seconds(answer.headers.get("retry-after")))


def _seconds(text: str | None) -> float | None:
    try:
        seconds = float(text or "")
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) else None
