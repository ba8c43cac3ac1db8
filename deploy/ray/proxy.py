"""Around Ray's HTTP proxy: what it says itself becomes a problem document, jobs find their replica.

Ray calls ``middlewares`` in every proxy (``RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH``).
"""

from __future__ import annotations

import re
import uuid

from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service import hardening
from service.api import problems
from service.api.access import REQUEST_ID
from service.api.guard import HEADERS
from service.errors import NotReady, ServiceError, WorkerLost

SESSION = "x-session-id"
"""Ray's header by which requests are kept together: here the name of a replica."""

_JOB = re.compile(r"/v1/detections/([a-z0-9-]{1,63})-[0-9a-f]{32}(/|$)")
_ID = b"x-request-id"
_ORDERS = frozenset(
    {SESSION, "serve-multiplexed-model-id", "x-request-timeout-seconds"}
    | {"x-request-disconnect-disabled"}
)
"""Headers by which a client would tell the proxy what to do."""
_OWN_PATHS = ("/-/healthz", "/-/routes")


def middlewares() -> list[Middleware]:
    """What Ray puts around its proxy."""
    # Bodies pass through this process.
    hardening.forbid_dumps()
    return [Middleware(Front)]


class Front:
    """ASGI middleware. A request whose replica died before it answered gets ``worker_lost``, one
    that no replica can take ``not_ready``."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http" or scope["path"] in _OWN_PATHS:
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope)
        answer = _Answer(send, request_id)
        try:
            await self._app(_told(scope, request_id), receive, answer.send)
        except Exception:
            if answer.begun:
                raise
        if not answer.begun:
            lost = WorkerLost("The replica that had this request has ended.")
            await answer.replace(lost)


class _Answer:
    """The answer to one request on its way."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send, self._request_id = send, request_id
        self.begun = self._replaced = False

    async def send(self, message: Message) -> None:
        """Pass on what the service says; what Ray says is replaced."""
        if self._replaced:
            return
        if message["type"] == "http.response.start":
            self.begun = True
            headers = [(name.lower(), value) for name, value in message.get("headers", [])]
            # The service gives its answers an id, and so does Ray.
            ids = [at for at, (name, _) in enumerate(headers) if name == _ID]
            if len(ids) < 2 and message["status"] >= 400:
                self._replaced = True
                await self.replace(_meant(message["status"]), _retry_after(headers))
                return
            for at in reversed(ids[1:]):
                del headers[at]
            message = {**message, "headers": headers}
        await self._send(message)

    async def replace(self, error: ServiceError, retry_after: float | None = None) -> None:
        """Answer with this error."""
        self.begun = True
        error.retry_after = retry_after or error.retry_after
        headers = HEADERS | {"X-Request-ID": self._request_id, "Connection": "close"}
        response = problems.response(error, self._request_id, headers)
        await response({"type": "http", "state": {}}, _nothing, self._send)


async def _nothing() -> Message:
    return {"type": "http.disconnect"}


def _meant(status: int) -> ServiceError:
    """Of Ray's own statuses: 404 is that no application is there, 408 that it took too long, 429
    and 503 that no replica takes it."""
    if status < 500 or status == 503:
        return NotReady("no replica takes this request now")
    return WorkerLost("The replica that had this request has ended.")


def _retry_after(headers: list[tuple[bytes, bytes]]) -> float | None:
    text = dict(headers).get(b"retry-after", b"")
    return float(text) if text.isdigit() else None


def _request_id(scope: Scope) -> str:
    given = dict(scope["headers"]).get(_ID, b"").decode("latin-1")
    return given if REQUEST_ID.fullmatch(given) else uuid.uuid4().hex


def _told(scope: Scope, request_id: str) -> Scope:
    """The request without orders to the proxy but ours."""
    kept = [
        (name, value)
        for name, value in scope["headers"]
        if name != _ID and name.decode("latin-1").lower().replace("_", "-") not in _ORDERS
    ]
    kept.append((_ID, request_id.encode()))
    if job := _JOB.search(scope["path"]):
        kept.append((SESSION.encode(), job[1].encode()))
    return {**scope, "headers": kept}
