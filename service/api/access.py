"""Around every request: its id, one log line and metrics.

The log line holds the route's template, never the path, the query or a file name.
"""

from __future__ import annotations

import logging
import re
import time
import uuid

from opentelemetry.trace import Span, StatusCode
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service import logs, tracing
from service.errors import NotReady
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
        logs.request_id.set(exchange.request_id)
        with tracing.request(Headers(scope=scope).get("traceparent", "")) as span:
            try:
                await self._app(scope, exchange.receive, exchange.send)
            except ClientDisconnect:
                exchange.status = CLIENT_CLOSED
            finally:
                self._tell(exchange, span)

    def _tell(self, exchange: _Exchange, span: Span) -> None:
        fields = exchange.fields()
        method, route, problem = (str(fields[name]) for name in ("method", "route", "problem"))
        self._metrics.request(method, route, exchange.status, exchange.seconds())
        if fields["problem"] is not None:
            # Who asks whether it is ready, and hears that it is not, is told of no error.
            if (method, problem) != ("GET", NotReady.code):
                self._metrics.problem(problem)
            span.set_attribute("error.type", problem)
        if exchange.status >= 500:
            span.set_status(StatusCode.ERROR)
        span.update_name(f"{method} {route}")
        span.set_attributes(
            {
                "http.request.method": method,
                "http.route": route,
                "http.response.status_code": exchange.status,
                "request_id": exchange.request_id,
            }
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
        self.status = CLIENT_CLOSED

    async def receive(self) -> Message:
        """Pass on what comes."""
        message = await self._receive()
        self._received += len(message.get("body", b""))
        return message

    async def send(self, message: Message) -> None:
        """Pass on what goes, with the request's id."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            ours = (b"x-request-id", self.request_id.encode())
            message = {**message, "headers": [*message.get("headers", []), ours]}
        else:
            self._sent += len(message.get("body", b""))
        await self._send(message)

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
            "problem": self._state.get("problem"),
            "key": self._state.get("key"),
            "bytes_in": self._received,
            "bytes": self._sent,
            "ms": round(self.seconds() * 1000, 1),
        }
