"""Around every request: its id, one log line, metrics, and the last catch of exceptions.

The log line holds the route's template, never the path, the query or a file name. Of an exception
that nothing expected it holds the type and the line of code, never the text, which may quote the
caller.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
import uuid

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api import problems
from service.errors import NotReady, ServiceError
from service.logs import origin
from service.metrics import Metrics

REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")
"""What an ``X-Request-ID`` must look like to be taken over from the caller."""

CLIENT_CLOSED = 499
"""Logged and counted, never sent: the client went away before its answer was whole."""

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
        exchange = _Exchange(scope, receive, send)
        try:
            await self._app(scope, exchange.receive, exchange.send)
        except ClientDisconnect:
            exchange.status = CLIENT_CLOSED
        except asyncio.CancelledError:
            # Nothing but a server that has waited long enough for its end cancels a request.
            await exchange.fail(NotReady("stopping"))
        except Exception as error:
            failed = {"request_id": exchange.request_id} | origin(error)
            _log.error("failed", extra={"fields": failed})
            await exchange.fail(ServiceError("Something failed inside the service."))
        finally:
            fields = exchange.fields()
            self._metrics.request(
                str(fields["method"]), str(fields["route"]), exchange.status, exchange.seconds()
            )
            _log.info("request", extra={"fields": fields})


class _Exchange:
    """One request and its answer, counted as they pass."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope, self._receive, self._send = scope, receive, send
        self._started = time.perf_counter()
        self._received = self._sent = 0
        given = Headers(scope=scope).get("x-request-id", "")
        self.request_id = given if REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        self._state = scope.setdefault("state", {})
        self._state["request_id"] = self.request_id
        self._begun = False
        self.status = CLIENT_CLOSED

    async def receive(self) -> Message:
        """Pass on what comes."""
        message = await self._receive()
        self._received += len(message.get("body", b""))
        return message

    async def send(self, message: Message) -> None:
        """Pass on what goes, with the request's id."""
        if message["type"] == "http.response.start":
            self._begun, self.status = True, message["status"]
            ours = (b"x-request-id", self.request_id.encode())
            message = {**message, "headers": [*message.get("headers", []), ours]}
        else:
            self._sent += len(message.get("body", b""))
        await self._send(message)

    async def fail(self, error: ServiceError) -> None:
        """Answer with an error, if nothing was answered yet."""
        if not self._begun:
            await problems.response(error, self.request_id)(self._scope, self._receive, self.send)

    def seconds(self) -> float:
        """Since it began."""
        return time.perf_counter() - self._started

    def fields(self) -> dict[str, object]:
        """What is logged of it."""
        method = self._scope["method"]
        return {
            "request_id": self.request_id,
            "method": method if method in _METHODS else "OTHER",
            "route": getattr(self._scope.get("route"), "path", None) or "unmatched",
            "status": self.status,
            "key": self._state.get("key"),
            "bytes_in": self._received,
            "bytes": self._sent,
            "ms": round(self.seconds() * 1000, 1),
        }
