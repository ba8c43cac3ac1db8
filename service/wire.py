"""HTTP/1.1 on one connection: uvicorn's own protocol with the bounds it lacks.

uvicorn waits for the head of a request without end, accepts any number of connections, answers
what is no HTTP with plain text, lets a client that does not read hold an answer forever, and the
event loop be busy with chunks of one byte. This subclass leans on its insides (written against
uvicorn 0.54): a new version must pass ``tests/api/test_connections.py``.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import uuid
from collections import Counter
from collections.abc import Callable
from typing import Any

import h11
from uvicorn.config import Config
from uvicorn.middleware.proxy_headers import _TrustedHosts
from uvicorn.protocols.http.h11_impl import STATUS_PHRASES, H11Protocol
from uvicorn.server import ServerState

from service.api import problems
from service.api.caller import network
from service.api.guard import HEADERS
from service.errors import (
    HeadersTooLarge,
    MalformedRequest,
    NotReady,
    RateLimited,
    ServiceError,
    SlowBody,
)
from service.metrics import Metrics
from service.settings import Limits

HEAD_BYTES = 16 * 2**10
"""Request line and headers together."""

_PARTING_SECONDS = 2.0
"""After an answer to what is no request, so long is read on: closing a connection with unread
bytes in it resets it, and the reset may overtake the answer."""

_PARTING_MOST = 64
"""So many connections beyond the limit are told so at a time; more are closed without a word."""

_PARTING_EACH = 8
"""The same for one address that has its share."""

_SHARE = 0.5
"""So much of all connections one address may hold."""

_READ = 8 * 2**10
"""Bytes read at a time where each may cost much to parse, so that others have their turn."""

_READ_BULK = 256 * 2**10
"""The same for a body of known length, which costs next to nothing."""

_FRAMING = 16 * 2**10
_FRAMING_PART = 8
"""Sizes of chunks and line ends may be so many bytes, and one of so many bytes of data, together.
Each chunk is parsed for itself: a body of tiny ones costs a thousand times what it holds."""

_LAST_CHUNK = b"0\r\n\r\n"

_UNREAD_SECONDS = 60.0
"""So long a client may read nothing of an answer, or less than the kernel frees room for: some
hundred kilobytes."""

_METHOD, _ROUTE = "OTHER", "unread"

_log = logging.getLogger("service.access")

MakeProtocol = Callable[..., asyncio.Protocol]


def protocol(limits: Limits, metrics: Metrics, trusted_proxies: str) -> MakeProtocol:
    """What uvicorn makes its connections with. The proxies, addresses and networks separated by
    commas, may hold as many as they like: behind them are many."""
    proxies = _TrustedHosts(trusted_proxies)
    held: Counter[str] = Counter()

    def make(
        config: Config, server_state: ServerState, app_state: dict[str, Any], _loop: Any = None
    ) -> asyncio.Protocol:
        return Connection(config, server_state, app_state, limits, metrics, proxies, held)

    return make


class _Parser(h11.Connection):
    """Knows how much of a body was data."""

    chunked = False
    data = 0

    def next_event(self) -> Any:
        event = super().next_event()
        if isinstance(event, h11.Request):
            self.chunked = any(name == b"transfer-encoding" for name, _ in event.headers)
            self.data = 0
        elif isinstance(event, h11.Data):
            self.data += len(event.data)
        return event


class _Outgoing:
    """A transport that knows how much its client took, and tells when it is asked to close:
    it does so only when all is taken, however long that is."""

    def __init__(self, transport: asyncio.Transport, closing: Callable[[], None]) -> None:
        self._transport, self._closing = transport, closing
        self._written = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    @property
    def taken(self) -> int:
        return self._written - self._transport.get_write_buffer_size()

    def write(self, data: bytes) -> None:
        self._written += len(data)
        self._transport.write(data)

    def close(self) -> None:
        self._transport.close()
        self._closing()


class Connection(H11Protocol):
    """One connection."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        limits: Limits,
        metrics: Metrics,
        proxies: _TrustedHosts,
        held: Counter[str],
    ) -> None:
        super().__init__(config, server_state, app_state)
        self.conn: _Parser = _Parser(h11.SERVER, HEAD_BYTES)
        self._limits, self._metrics = limits, metrics
        self._proxies, self._held = proxies, held
        self._address = ""
        self._head = 0
        """Bytes of a head that has not ended."""
        self._body = 0
        """Bytes of a body, with its framing."""
        self._unwanted = 0
        """Those that came after its answer had begun."""
        self._tail = b""
        """The last of them."""
        self._parting = False
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection, or say that there are too many."""
        taken = len(self.connections)
        super().connection_made(transport)
        self._outgoing = _Outgoing(transport, self._expect_reading)
        self.transport = self._outgoing  # type: ignore[assignment]
        transport.max_size = _READ  # type: ignore[attr-defined]
        share = self._of_address()
        most = self._limits.connections
        if taken >= most + _PARTING_MOST or share > max(1, most * _SHARE) + _PARTING_EACH:
            self._metrics.shed("connections")
            transport.abort()
        elif taken >= most:
            self._metrics.shed("connections")
            self._part(NotReady("As many connections are open as may be."))
        elif share > max(1, most * _SHARE):
            self._metrics.shed("connections")
            self._part(RateLimited("As many connections are open as one address may have."))
        else:
            self._after("head", self._limits.header_seconds, self._no_head)

    def _of_address(self) -> int:
        """Take one of the connections of the client's address; how many it has, 0 for a proxy."""
        host = self.client[0] if self.client else ""
        if host in self._proxies:
            return 0
        self._address = network(host)
        self._held[self._address] += 1
        return self._held[self._address]

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        for name in list(self._timers):
            self._never(name)
        if self._address:
            self._held[self._address] -= 1
            if not self._held[self._address]:
                del self._held[self._address]
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
            self._body_received(data)
        known = self.conn.their_state is h11.SEND_BODY and not self.conn.chunked
        self.transport.max_size = _READ_BULK if known else _READ  # type: ignore[attr-defined]

    def _body_received(self, data: bytes) -> None:
        """Parse what somebody waits for, or whose end is found without effort."""
        if self.conn.their_state is h11.SEND_BODY and self.cycle.response_started:
            self._unwanted += len(data)
            self._tail = (self._tail + data[-len(_LAST_CHUNK) :])[-len(_LAST_CHUNK) :]
            if self._unwanted > self._limits.drain_bytes:
                self.transport.abort()
                return
            if self.conn.chunked:
                if self._tail == _LAST_CHUNK:
                    self.cycle.more_body = False
                    self.cycle.message_event.set()
                return
        self._body += len(data)
        super().data_received(data)
        framing = self._body - self.conn.data
        if (
            self.conn.chunked
            and self.conn.their_state is h11.SEND_BODY
            and framing > _FRAMING + self.conn.data / _FRAMING_PART
            and not self._parting
        ):
            self._part(MalformedRequest("The body comes in too many chunks that are too small."))

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
        self._expect_reading()
        super().on_response_complete()

    def pause_writing(self) -> None:
        """The client does not read as fast as is written."""
        super().pause_writing()
        self._expect_reading()

    def _expect_reading(self) -> None:
        """Look now and then whether the client takes what is there for it, until it has all."""
        if "unread" in self._timers or not self.transport.get_write_buffer_size():
            return
        taken = self._outgoing.taken

        def look() -> None:
            self._never("unread")
            if self._outgoing.taken == taken:
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
        self._head = self._body = 0
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
        _log.info("request", extra={"fields": fields | {"problem": error.code}})
        self._metrics.problem(error.code)
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
