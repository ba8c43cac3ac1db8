"""The path prefix under which a reverse proxy shows the service."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send


class Prefix:
    """ASGI middleware: routes match with or without the prefix, and the schema names it.

    uvicorn's own ``root_path`` only suits proxies that strip the prefix.
    """

    def __init__(self, app: ASGIApp, prefix: str) -> None:
        self._app = app
        self._prefix = prefix.rstrip("/")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] == "http":
            scope["root_path"] = self._prefix
        await self._app(scope, receive, send)
