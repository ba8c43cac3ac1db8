"""The path prefix under which a reverse proxy shows the service."""

from __future__ import annotations

from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send


class Prefix:
    """ASGI middleware: routes match with or without the prefix, and the schema names it. With
    ``page``, the prefix alone leads to the page, whose addresses are relative to what ends in /.

    uvicorn's own ``root_path`` only suits proxies that strip the prefix.
    """

    def __init__(self, app: ASGIApp, prefix: str, *, page: bool) -> None:
        self._app = app
        self._prefix = prefix.rstrip("/")
        self._page = page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        answer: ASGIApp = self._app
        if scope["type"] == "http":
            scope["root_path"] = self._prefix
            if self._page and self._prefix and scope["path"] == self._prefix:
                # Without the Host header, which anybody chooses.
                answer = RedirectResponse(f"{self._prefix}/", 308)
        await answer(scope, receive, send)
