"""An upload into bounded memory, hashed as it arrives; it never touches a disk.

Starlette's own form parser spools every file over one megabyte to a temporary file, so the body
is parsed here, piece by piece, from whatever yields bytes. Nothing in here knows the web
framework.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
from collections.abc import AsyncIterator, Callable
from typing import Protocol

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from service.errors import EmptyBody, MalformedRequest, SlowBody, TooLarge, UnsupportedMediaType
from service.sources.source import Memory

FIELD = b"file"
"""Name of the one part a form may hold."""

FRAMING = 16 * 2**10
"""Bytes a multipart body may spend on boundaries, part headers and epilogue."""

PART_HEADERS = 8
PART_HEADER_BYTES = 4 * 2**10
DELIMITERS = 16
"""Boundary look-alikes in one body. RFC 2046 allows none in the data; the parser walks byte by
byte from each, so a body full of them would hold the event loop."""


class _Sink(Protocol):
    def write(self, chunk: bytes) -> object: ...

    def close(self) -> None: ...


class _Buffer:
    """Collects bytes up to a limit. ``BytesIO`` hands its memory over without a copy."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._bytes = io.BytesIO()
        self._hash = hashlib.sha256()

    def write(self, chunk: bytes | memoryview) -> None:
        if self._bytes.tell() + len(chunk) > self._limit:
            raise _too_large(self._limit)
        self._bytes.write(chunk)
        self._hash.update(chunk)

    def close(self) -> None:
        if not self._bytes.tell():
            raise EmptyBody("The request holds no media byte.")

    def memory(self) -> Memory:
        return Memory(self._bytes.getvalue(), self._hash.hexdigest())

    def release(self) -> None:
        self._bytes.close()


class _Form:
    """Parses multipart/form-data and passes the bytes of its one part on."""

    def __init__(self, boundary: bytes | None, buffer: _Buffer, limit: int) -> None:
        if not boundary:
            raise MalformedRequest("The Content-Type names no multipart boundary.")
        self._buffer = buffer
        self._limit = limit
        self._left = limit + FRAMING
        self._delimiter = b"\r\n--" + boundary
        self._delimiters = 0
        self._parts = 0
        self._ended = False
        self._name = b""
        self._value = b""
        self._field: bytes | None = None
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._part_begin,
                    "on_header_field": self._header_name,
                    "on_header_value": self._header_value,
                    "on_header_end": self._header_end,
                    "on_headers_finished": self._headers_finished,
                    "on_part_data": self._part_data,
                    "on_end": self._end,
                },
                max_header_count=PART_HEADERS,
                max_header_size=PART_HEADER_BYTES,
            )
        except FormParserError as error:
            raise MalformedRequest("The multipart boundary is too long.") from error

    def write(self, chunk: bytes) -> None:
        self._left -= len(chunk)
        if self._left < 0:
            raise _too_large(self._limit)
        self._delimiters += chunk.count(self._delimiter)
        if self._delimiters > DELIMITERS:
            raise MalformedRequest("The multipart boundary occurs again and again in the body.")
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            # The parser's own words may quote the body.
            raise MalformedRequest("The multipart body cannot be read.") from error

    def close(self) -> None:
        if self._left == self._limit + FRAMING:
            self._buffer.close()
        if not self._ended:
            raise MalformedRequest("The multipart body ends before its closing boundary.")
        if not self._parts:
            raise MalformedRequest("The form holds no part named 'file'.")
        self._buffer.close()

    def _part_begin(self) -> None:
        self._parts += 1
        if self._parts > 1:
            raise MalformedRequest(
                "The form may hold one part only, 'file'; options go into the query."
            )

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        name, value = self._name.lower(), self._value.decode("latin-1")
        self._name = self._value = b""
        if name == b"content-disposition":
            kind, options = parse_options_header(value)
            self._field = options.get(b"name") if kind == b"form-data" else None
        elif name == b"content-transfer-encoding" and value.strip().lower() not in (
            "7bit",
            "8bit",
            "binary",
        ):
            raise MalformedRequest("A part with a Content-Transfer-Encoding is not read.")

    def _headers_finished(self) -> None:
        if self._field != FIELD:
            raise MalformedRequest("The form's part must be form-data named 'file'.")

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        self._buffer.write(memoryview(data)[start:end])

    def _end(self) -> None:
        self._ended = True


class Receiver:
    """Reads one raw body, or the ``file`` part of one form.

    What the headers alone tell is refused here, before the first byte: raises
    ``UnsupportedMediaType``, ``TooLarge``, ``EmptyBody`` and ``MalformedRequest``.
    """

    def __init__(self, *, content_type: str, content_length: int | None, limit: int) -> None:
        if content_length == 0:
            raise EmptyBody("The request holds no media byte.")
        kind, options = parse_options_header(content_type)
        self._buffer = _Buffer(limit)
        self._sink: _Sink = self._buffer
        if kind == b"multipart/form-data":
            self._sink = _Form(options.get(b"boundary"), self._buffer, limit)
        elif not _is_raw(kind):
            raise UnsupportedMediaType(
                "Send multipart/form-data with a part named 'file', the bytes of the video as "
                "video/* or application/octet-stream, or what else the header Accept names."
            )
        allowance = FRAMING if self._sink is not self._buffer else 0
        if content_length is not None and content_length > limit + allowance:
            raise _too_large(limit)

    async def read(
        self,
        chunks: AsyncIterator[bytes],
        *,
        seconds: float,
        idle_seconds: float,
        rate: float,
        arrived: Callable[[int], None] = lambda size: None,
    ) -> Memory:
        """Read to the end; ``arrived`` is told the size of every chunk before it is kept, and may
        raise. Raises ``TooLarge``, ``EmptyBody``, ``MalformedRequest``, and ``SlowBody`` past
        ``seconds`` in all, ``idle_seconds`` without a byte, or so far behind ``rate`` bytes a
        second."""
        try:
            async with asyncio.timeout(seconds):
                async for chunk in _at_pace(chunks, idle_seconds, rate):
                    arrived(len(chunk))
                    self._sink.write(chunk)
            self._sink.close()
            return self._buffer.memory()
        except TimeoutError as error:
            raise SlowBody(f"The body did not arrive within {seconds:g} seconds.") from error
        finally:
            # A form and its parser refer to each other: without this the bytes would stay until
            # the next garbage collection.
            self._buffer.release()


async def _at_pace(
    chunks: AsyncIterator[bytes], seconds: float, rate: float
) -> AsyncIterator[bytes]:
    loop = asyncio.get_running_loop()
    began, received = loop.time(), 0
    while True:
        latest = min(loop.time(), began + received / rate) + seconds
        try:
            async with asyncio.timeout_at(latest) as pause:
                chunk = await anext(chunks)
        except StopAsyncIteration:
            return
        except TimeoutError:
            if pause.expired():
                raise SlowBody(
                    f"The body paused for {seconds:g} seconds, or fell so far behind "
                    f"{rate:g} bytes a second."
                ) from None
            raise
        received += len(chunk)
        yield chunk


def _is_raw(kind: bytes) -> bool:
    return kind == b"application/octet-stream" or (kind.startswith(b"video/") and len(kind) > 6)


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"The upload is over the limit of {limit} bytes.")
