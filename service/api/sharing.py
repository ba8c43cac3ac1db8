"""Which pages of other origins may call the API: CORS, its refusals problems like any other."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api import problems
from service.errors import CrossOrigin


class Sharing(CORSMiddleware):
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, origins: list[str]) -> None:
        super().__init__(
            app,
            allow_origins=origins,
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "Prefer", "X-API-Key", "X-Request-ID"],
            expose_headers=["Location", "Retry-After", "Server-Timing", "X-Request-ID"],
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if not _asks_first(scope):
            await super().__call__(scope, receive, send)
            return
        # No path takes OPTIONS, so nothing is done; but the log and the metrics learn the route.
        await self.app(scope, receive, _unsent)
        answer = self.preflight_response(Headers(scope=scope))
        if answer.status_code != 200:
            rules = {
                name: value
                for name, value in answer.headers.items()
                if not name.startswith("content-")
            }
            error = CrossOrigin("This origin, method or header is none that pages may use here.")
            answer = problems.response(error, scope["state"]["request_id"], rules)
        await answer(scope, receive, send)


def _asks_first(scope: Scope) -> bool:
    """Whether this is a preflight: a browser asks before it sends what a page wants to send."""
    if scope["type"] != "http" or scope["method"] != "OPTIONS":
        return False
    headers = Headers(scope=scope)
    return "origin" in headers and "access-control-request-method" in headers


async def _unsent(message: Message) -> None:
    pass
