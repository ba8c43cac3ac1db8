"""What came through a proxy that is not set up as ours are is not taken.

A replica sees its own variables alone, and proxies run on every node: one whose node was started
without them dumps core, says things in plain text and follows orders of clients. So every proxy
that is set up marks what it passes on.
"""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from service.api import problems
from service.errors import NotReady

MARK = "x-deepfake-front"
"""The header by which ``deploy.ray.proxy`` says that it was there."""


class Fronted:
    """ASGI middleware, inside all others: requests without the mark are ``not_ready``."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        app: ASGIApp = self._app
        if scope["type"] == "http" and MARK.encode() not in dict(scope["headers"]):
            error = NotReady("the proxy of this node was started without its settings")
            app = problems.response(error, scope["state"]["request_id"])
        await app(scope, receive, send)
