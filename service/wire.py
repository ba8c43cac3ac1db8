"""HTTP/1.1 on one connection: uvicorn's own protocol with the bounds it lacks.

uvicorn waits for the head of a request without end, accepts any number of connections, answers
what is no HTTP with plain text, and lets a client that does not read hold an answer forever. This
subclass leans on its insides (written against uvicorn 0.54): a new version must pass
``tests/api/test_connections.py``.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import uuid
from collections.abc import Callable
from typing import Any

import h11
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import STATUS_PHRASES, H11Protocol
from uvicorn.server import ServerState

from service.api import problems
from service.api.guard import HEADERS
from service.errors import HeadersTooLarge, MalformedRequest, NotReady, ServiceError, SlowBody
from service.metrics import Metrics
from service.settings import Limits

HEAD_BYTES = 16 * 2**10
"""Request line and headers together."""

_PARTING_SECONDS = 2.0
"""After an answer to what is no request, so long is read on: closing a connection with unread
bytes in it resets it, and the reset may overtake the answer."""

_PARTING_MOST = 64
"""So many connections beyond the limit are told so at a time; more are closed without a word."""

_UNREAD_SECONDS = 60.0
"""So long a client may read nothing of an answer, or less than the kernel frees room for: some
hundred kilobytes."""

_METHOD, _ROUTE = "OTHER", "unread"

_log = logging.getLogger("service.access")

MakeProtocol = Callable[..., asyncio.Protocol]


def protocol(limits: Limits, metrics: Metrics) -> MakeProtocol:
    """What uvicorn makes its connections with."""

    def make(
        config: Config, server_state: ServerState, app_state: dict[str, Any], _loop: Any = None
    ) -> asyncio.Protocol:
        return Connection(config, server_state, app_state, limits, metrics)

    return make


class Connection(H11Protocol):
    """One connection."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        limits: Limits,
        metrics: Metrics,
    ) -> None:
        super().__init__(config, server_state, app_state)
        self._limits, self._metrics = limits, metrics
        self._head = 0
        """Bytes of a head that has not ended."""
        self._parting = False
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection, or say that there are too many."""
        taken = len(self.connections)
        super().connection_made(transport)
        if taken < self._limits.connections:
            self._after("head", self._limits.header_seconds, self._no_head)
        elif taken < self._limits.connections + _PARTING_MOST:
            self._metrics.shed("connections")
            self._part(NotReady("As many connections are open as may be."))
        else:
            self._metrics.shed("connections")
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        for name in list(self._timers):
            self._never(name)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Hand a head over in pieces, so that its size is bounded to the byte."""
        while data and not self._parting and self.conn.their_state is h11.IDLE:
            if "head" not in self._timers:
                self._after("head", self._limits.header_seconds, self._no_head)
            room = HEAD_BYTES - self._head
            if not room:
                self._part(_head_too_large())
                return
            piece, data = data[:room], data[room:]
            self._head += len(piece)
            super().data_received(piece)
            if self.conn.their_state is not h11.IDLE:
                self._head_ended()
        if data and not self._parting:
            super().data_received(data)

    def send_400_response(self, msg: str) -> None:
        """Answer what h11 cannot read; called while its exception is handled."""
        error = sys.exc_info()[1]
        if getattr(error, "error_status_hint", 400) == 431:
            self._part(_head_too_large())
        else:
            self._part(MalformedRequest("This is not HTTP, or not in a form that is read here."))

    def on_response_complete(self) -> None:
        """Between requests the keep-alive timer rules; it is uvicorn's."""
        self._head_ended()
        super().on_response_complete()

    def pause_writing(self) -> None:
        """The client does not read as fast as is written."""
        super().pause_writing()
        self._expect_reading()

    def resume_writing(self) -> None:
        """It has caught up."""
        super().resume_writing()
        self._never("unread")

    def _expect_reading(self) -> None:
        left = self.transport.get_write_buffer_size()

        def look() -> None:
            if self.transport.get_write_buffer_size() >= left:
                self.transport.abort()
            else:
                self._expect_reading()

        self._after("unread", _UNREAD_SECONDS, look)

    def shutdown(self) -> None:
        """The server stops."""
        if self._parting:
            self.transport.close()
        else:
            super().shutdown()

    def _head_ended(self) -> None:
        self._head = 0
        self._never("head")

    def _no_head(self) -> None:
        """The head of a request has not ended in time."""
        if self._head:
            seconds = self._limits.header_seconds
            self._part(SlowBody(f"No head of a request arrived within {seconds:g} seconds."))
        else:
            self.transport.close()

    def _part(self, error: ServiceError) -> None:
        """Answer outside of any application, read on for a moment, and close."""
        self._parting = True
        for name in list(self._timers):
            self._never(name)
        self._unset_keepalive_if_required()
        if self.cycle and not self.cycle.response_complete:  # type: ignore[truthy-bool]
            # The application has the request and waits for a body that cannot be read: for it
            # the client is gone.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            if self.cycle.response_started:
                self.transport.close()
                return
        self.transport.write(self._answer(error))
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.flow.resume_reading()
        self._after("parting", _PARTING_SECONDS, self.transport.abort)

    def _answer(self, error: ServiceError) -> bytes:
        request_id = uuid.uuid4().hex
        answer = problems.response(error, request_id)
        headers = {name.lower(): value for name, value in HEADERS.items()} | dict(answer.headers)
        headers |= {"x-request-id": request_id, "connection": "close"}
        fields = {"request_id": request_id, "route": _ROUTE, "status": error.status}
        _log.info("request", extra={"fields": fields})
        self._metrics.request(_METHOD, _ROUTE, error.status, 0.0)
        lines = [b"HTTP/1.1 %d %b" % (error.status, STATUS_PHRASES[error.status])]
        lines += [f"{name}: {value}".encode("latin-1") for name, value in headers.items()]
        return b"\r\n".join([*lines, b"", bytes(answer.body)])

    def _after(self, name: str, seconds: float, call: Callable[[], None]) -> None:
        self._never(name)
        self._timers[name] = self.loop.call_later(seconds, call)

    def _never(self, name: str) -> None:
        timer = self._timers.pop(name, None)
        if timer is not None:
            timer.cancel()


def _head_too_large() -> HeadersTooLarge:
    return HeadersTooLarge(f"Request line and headers are over {HEAD_BYTES} bytes.")
