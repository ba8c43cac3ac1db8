"""Around every request: its id, one log line, metrics, and the last catch of exceptions.

The log line holds the route's template, never the path, the query or a file name. Of an exception
that nothing expected it holds the type and the line of code, never the text, which may quote the
caller.
"""

from __future__ import annotations

import logging
import re
import time
import traceback
import uuid

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api import problems
from service.errors import ServiceError
from service.metrics import Metrics

REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")
"""What an ``X-Request-ID`` must look like to be taken over from the caller."""

CLIENT_CLOSED = 499
"""Logged and counted, never sent: the client went away before its answer."""

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

_log = logging.getLogger("service.access")


class Access:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        request_id = _request_id(scope)
        scope.setdefault("state", {})["request_id"] = request_id
        status, sent = CLIENT_CLOSED, 0

        async def watched(message: Message) -> None:
            nonlocal status, sent
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = [*message.get("headers", []), (b"x-request-id", request_id.encode())]
                message = {**message, "headers": headers}
            else:
                sent += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except ClientDisconnect:
            pass
        except Exception as error:
            _log.error("failed", extra={"fields": {"request_id": request_id} | _origin(error)})
            if status == CLIENT_CLOSED:
                problem = ServiceError("Something failed inside the service.")
                await problems.response(problem, request_id)(scope, receive, watched)
        finally:
            seconds = time.perf_counter() - started
            method = scope["method"] if scope["method"] in _METHODS else "OTHER"
            route = getattr(scope.get("route"), "path", None) or "unmatched"
            self._metrics.request(method, route, status, seconds)
            fields = {
                "request_id": request_id,
                "method": method,
                "route": route,
                "status": status,
                "bytes": sent,
                "ms": round(seconds * 1000, 1),
            }
            _log.info("request", extra={"fields": fields})


def _request_id(scope: Scope) -> str:
    given = Headers(scope=scope).get("x-request-id", "")
    return given if REQUEST_ID.fullmatch(given) else uuid.uuid4().hex


def _origin(error: Exception) -> dict[str, str]:
    """Type and place of an exception, without its text."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{frames[-1].name}:{frames[-1].lineno}" if frames else "unknown"
    return {"exception": type(error).__name__, "at": place}
