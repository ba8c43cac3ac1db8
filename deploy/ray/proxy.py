"""Around Ray's HTTP proxy: what it says itself becomes a problem document, jobs find their replica.

Ray calls ``middlewares`` in every proxy (``RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH``). Replicas
count and log what they answer; what the proxy answers in their place is counted and logged here.
"""

from __future__ import annotations

import logging
import re
import time
import uuid

from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deploy.ray.fronted import MARK
from service import hardening, logs
from service.api import problems
from service.api.access import REQUEST_ID
from service.api.guard import HEADERS
from service.errors import NotReady, ServiceError, WorkerLost
from service.metrics import Metrics

SESSION = "x-session-id"
"""Ray's header by which requests are kept together: here the name of a replica."""

_JOB = re.compile(r"/v1/detections/([a-z0-9-]{1,63})-[0-9a-f]{32}(/|$)")
_COUNTED = re.compile(r"/v1/(detections|evaluations)$")
"""Routes that are counted by their names; here, where no app is, all others are unknown."""
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_ID = b"x-request-id"
_ORDERS = frozenset(
    {SESSION, "serve-multiplexed-model-id", "x-request-timeout-seconds"}
    | {"x-request-disconnect-disabled"}
)
"""Headers by which a client would tell the proxy what to do."""
_OWN_PATHS = ("/-/healthz", "/-/routes")

_log = logging.getLogger("service.proxy")


def middlewares() -> list[Middleware]:
    """What Ray puts around its proxy."""
    # The one part of this module that needs Ray.
    from deploy.ray.instruments import RayInstruments

    # Bodies pass through this process.
    hardening.forbid_dumps()
    logs.configure()
    return [Middleware(Front, metrics=Metrics(RayInstruments()))]


class Front:
    """ASGI middleware. A request whose replica died before it answered gets ``worker_lost``, one
    that no replica can take ``not_ready``."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http" or scope["path"] in _OWN_PATHS:
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(_request_id(scope), receive, send)
        began = time.perf_counter()
        fault: Exception | None = None
        try:
            await self._app(_told(scope, exchange.request_id), exchange.receive, exchange.send)
        except Exception as error:
            fault = error
        await exchange.end()
        if exchange.problem:
            self._tell(scope, exchange, time.perf_counter() - began, fault)
        if fault is not None and not exchange.whole:
            raise fault

    def _tell(
        self, scope: Scope, exchange: _Exchange, seconds: float, fault: Exception | None
    ) -> None:
        method = scope["method"] if scope["method"] in _METHODS else "OTHER"
        counted = _COUNTED.search(scope["path"])
        route = counted[0] if counted else "unmatched"
        self._metrics.request(method, route, exchange.status, seconds)
        self._metrics.problem(exchange.problem)
        fields = {
            "request_id": exchange.request_id,
            "method": method,
            "route": route,
            "status": exchange.status,
            "problem": exchange.problem,
            "ms": round(seconds * 1000, 1),
        }
        _log.info("request", extra={"fields": fields | (logs.origin(fault) if fault else {})})


class _Exchange:
    """One request and the answer to it on their ways."""

    def __init__(self, request_id: str, receive: Receive, send: Send) -> None:
        self.request_id = request_id
        self._receive, self._send = receive, send
        self.status = 0
        """Of the answer, once it has begun."""
        self.problem = ""
        """The code of what no replica has said."""
        self.whole = False
        """Whether the end of the answer was sent, or nobody is there to take it."""

    async def receive(self) -> Message:
        """Pass on what comes."""
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self.whole = True
        return message

    async def send(self, message: Message) -> None:
        """Pass on what the service says; what Ray says is replaced."""
        if self.problem:
            return
        if message["type"] == "http.response.start":
            headers = [(name.lower(), value) for name, value in message.get("headers", [])]
            # The service gives its answers an id, and so does Ray.
            ids = [at for at, (name, _) in enumerate(headers) if name == _ID]
            if len(ids) < 2 and message["status"] >= 400:
                await self._replace(_meant(message["status"]), _retry_after(headers))
                return
            for at in reversed(ids[1:]):
                del headers[at]
            message = {**message, "headers": headers}
            self.status = message["status"]
        elif not message.get("more_body", False):
            self.whole = True
        await self._send(message)

    async def end(self) -> None:
        """Nothing more comes: say so where nothing has come yet. A client that has left is told
        nothing; the replica knows of it."""
        if self.whole:
            return
        if not self.status:
            await self._replace(_lost())
        elif self.status < 400:
            # It cannot be said any more. Refusals linger, long after all of them is said.
            self.problem = WorkerLost.code

    async def _replace(self, error: ServiceError, retry_after: float | None = None) -> None:
        """Answer with this error."""
        self.status, self.problem, self.whole = error.status, error.code, True
        error.retry_after = retry_after or error.retry_after
        headers = HEADERS | {"X-Request-ID": self.request_id, "Connection": "close"}
        response = problems.response(error, self.request_id, headers)
        await response({"type": "http", "state": {}}, _nothing, self._send)


async def _nothing() -> Message:
    return {"type": "http.disconnect"}


def _lost() -> ServiceError:
    return WorkerLost("The replica that had this request has ended.")


def _meant(status: int) -> ServiceError:
    """Of Ray's own statuses: 404 is that no application is there, 408 that it took too long, 429
    and 503 that no replica takes it."""
    if status < 500 or status == 503:
        return NotReady("no replica takes this request now")
    return _lost()


def _retry_after(headers: list[tuple[bytes, bytes]]) -> float | None:
    text = dict(headers).get(b"retry-after", b"")
    return float(text) if text.isdigit() else None


def _request_id(scope: Scope) -> str:
    given = dict(scope["headers"]).get(_ID, b"").decode("latin-1")
    return given if REQUEST_ID.fullmatch(given) else uuid.uuid4().hex


def _told(scope: Scope, request_id: str) -> Scope:
    """The request with our mark, and without orders to the proxy but ours."""
    kept = [
        (name, value)
        for name, value in scope["headers"]
        if name != _ID and name.decode("latin-1").lower().replace("_", "-") not in _ORDERS
    ]
    kept += [(_ID, request_id.encode()), (MARK.encode(), b"1")]
    if job := _JOB.search(scope["path"]):
        kept.append((SESSION.encode(), job[1].encode()))
    return {**scope, "headers": kept}
