"""An answer that comes in pieces, as the work goes on."""

from __future__ import annotations

from collections.abc import Callable

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from service.api import events, problems
from service.api.pieces import sliced
from service.api.presence import while_connected
from service.work import Followed, Work

HEADERS = {
    "Cache-Control": "no-store",
    # Asks nginx, and proxies that follow it, to pass every event on at once.
    "X-Accel-Buffering": "no",
}


class EventStream(Response):
    """Tells what is ``followed`` of a work, to its end.

    ``own`` says that the work is done for this client alone: it ends when the client goes.
    ``told`` is called when the client has been sent all.
    """

    def __init__(
        self,
        work: Work,
        followed: Followed,
        form: str,
        *,
        own: bool,
        told: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(media_type=form, headers=HEADERS)
        # A body without an end in sight has no length.
        del self.headers["content-length"]
        self._work, self._followed, self._form, self._own = work, followed, form, own
        self._told = told

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. Raises ``ClientDisconnect``."""
        try:
            await while_connected(receive, self._stream(scope, send))
        finally:
            if self._own:
                await self._work.cancel()

    async def _stream(self, scope: Scope, send: Send) -> None:
        head = {"status": self.status_code, "headers": self.raw_headers}
        await send({"type": "http.response.start", **head})
        async for event in self._followed:
            await self._send(send, events.told(event, self._work.progress, self._form))
        outcome = await self._work.end()
        if self._own and outcome.error is not None:
            problems.note(scope, outcome.error.code)
        for piece in sliced(*events.last(outcome, self._work.request_id, self._form)):
            await self._send(send, piece)
        self._told()
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send(self, send: Send, piece: bytes) -> None:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
