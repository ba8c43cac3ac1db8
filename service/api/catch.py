"""The last catch of exceptions: what nothing expected becomes a problem document.

Of such an exception the log holds the type and the line of code, never the text, which may quote
the caller.
"""

from __future__ import annotations

import asyncio
import logging

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api import problems
from service.errors import NotReady, ServiceError
from service.logs import origin

_log = logging.getLogger("service.access")


class Catch:
    """ASGI middleware, inside all that adds to answers: its own are to be like any other."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id, begun = scope["state"]["request_id"], False

        async def noted(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        async def fail(error: ServiceError) -> None:
            if not begun:
                await problems.response(error, request_id)(scope, receive, send)

        try:
            await self._app(scope, receive, noted)
        except ClientDisconnect:
            raise
        except asyncio.CancelledError:
            # Nothing but a server that has waited long enough for its end cancels a request.
            await fail(NotReady("stopping"))
        except Exception as error:
            _log.error("failed", extra={"fields": {"request_id": request_id} | origin(error)})
            await fail(ServiceError("Something failed inside the service."))
