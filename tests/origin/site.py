"""A web site for tests: honest, slow, lying and broken, in a process of its own.

    python -m tests.origin.site        prints its port, serves until its input closes

``PUT /NAME`` stores what it is sent. ``GET /BEHAVIOUR/NAME`` gives it in one of the ways below,
``GET /log`` says what has been asked for and how many bytes of bodies were sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

HOST = "127.0.0.1"
CHUNK = 64 * 2**10


@dataclass
class Request:
    method: str
    target: str
    headers: dict[str, str]
    writer: asyncio.StreamWriter
    body: bytes = b""
    sent: int = 0

    async def send(self, data: bytes) -> None:
        self.sent += len(data)
        self.writer.write(data)
        await self.writer.drain()

    async def head(self, status: int, **headers: object) -> None:
        lines = [f"HTTP/1.1 {status} Reason"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.writer.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
        await self.writer.drain()

    def span(self, size: int) -> tuple[int, int] | None:
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("range", ""))
        if match is None:
            return None
        return int(match[1]), min(int(match[2] or size), size - 1)


Behaviour = Callable[[Request, bytes], Awaitable[None]]
BEHAVIOURS: dict[str, Behaviour] = {}
seen: dict[str, int] = {}
"""How often each target was asked for, of those that count."""


def behaviour(function: Behaviour) -> Behaviour:
    BEHAVIOURS[function.__name__.replace("_", "-")] = function
    return function


async def parts(
    request: Request,
    data: bytes,
    *,
    shift: int = 0,
    total: object = None,
    short: int = 0,
    **headers: object,
) -> None:
    """Serve a range, perhaps not the one that was asked for."""
    first, last = request.span(len(data)) or (0, len(data) - 1)
    body = data[first : last + 1]
    await request.head(
        206,
        Content_Range=f"bytes {first + shift}-{last + shift}/{total or len(data)}",
        Content_Length=len(body),
        **headers,
    )
    await request.send(body[: len(body) - short])


@behaviour
async def ranges(request: Request, data: bytes) -> None:
    if request.span(len(data)):
        await parts(request, data, ETag='"one"', Content_Type="video/mp4")
    else:
        await whole(request, data)


@behaviour
async def whole(request: Request, data: bytes) -> None:
    await request.head(200, Content_Length=len(data), Content_Type="video/mp4")
    await request.send(data)


@behaviour
async def chunked(request: Request, data: bytes) -> None:
    await request.head(200, Transfer_Encoding="chunked")
    for at in range(0, len(data), CHUNK):
        part = data[at : at + CHUNK]
        await request.send(f"{len(part):x}\r\n".encode() + part + b"\r\n")
    await request.send(b"0\r\n\r\n")


@behaviour
async def until_closed(request: Request, data: bytes) -> None:
    await request.head(200, Connection="close")
    await request.send(data)
    request.writer.close()


@behaviour
async def unknown_total(request: Request, data: bytes) -> None:
    if request.span(len(data)):
        await parts(request, data, total="*")
    else:
        await whole(request, data)


@behaviour
async def closing(request: Request, data: bytes) -> None:
    """Every connection serves one part."""
    await parts(request, data, Connection="close")
    request.writer.close()


@behaviour
async def moved(request: Request, data: bytes) -> None:
    await request.head(302, Location="../ranges/" + request.target.split("/")[-1], Content_Length=0)


@behaviour
async def html(request: Request, data: bytes) -> None:
    """What was stored is a page. It is given to browsers alone; those get a cookie with it."""
    if not request.headers.get("user-agent", "").startswith("Mozilla/"):
        await request.head(403, Content_Length=0)
        return
    await request.head(
        200,
        Content_Length=len(data),
        Content_Type="text/html",
        Set_Cookie="visited=yes; Path=/",
    )
    await request.send(data)


@behaviour
async def open_html(request: Request, data: bytes) -> None:
    """A page for everybody."""
    await request.head(200, Content_Length=len(data), Content_Type="text/html")
    await request.send(data)


@behaviour
async def for_visitors(request: Request, data: bytes) -> None:
    """A file for those who come from a page of this site."""
    came_from = request.headers.get("referer", "").startswith(f"http://{HOST}:")
    if came_from and "visited=yes" in request.headers.get("cookie", ""):
        await ranges(request, data)
    else:
        await request.head(403, Content_Length=0)


# What follows is no honest site.


@behaviour
async def endless_html(request: Request, data: bytes) -> None:
    await request.head(200, Content_Type="text/html", Connection="close")
    with contextlib.suppress(ConnectionError):
        await request.send(b"<!doctype html><html>")
        while True:
            await request.send(b"<p>".ljust(CHUNK))


@behaviour
async def maze(request: Request, data: bytes) -> None:
    """Each page leads to another page."""
    name = request.target.split("/")[-1]
    page = f'<!doctype html><html><meta http-equiv="refresh" content="0; url={name}x">'.encode()
    await request.head(200, Content_Length=len(page), Content_Type="text/html")
    await request.send(page)


@behaviour
async def silent_later(request: Request, data: bytes) -> None:
    """A page that is shown once."""
    seen[request.target] = seen.get(request.target, 0) + 1
    await (open_html if seen[request.target] == 1 else silent)(request, data)


@behaviour
async def other_part(request: Request, data: bytes) -> None:
    await parts(request, data, shift=1)


@behaviour
async def other_part_later(request: Request, data: bytes) -> None:
    first, _ = request.span(len(data)) or (0, 0)
    await parts(request, data, shift=1 if first else 0)


@behaviour
async def short_part(request: Request, data: bytes) -> None:
    await parts(request, data, short=7, Connection="close")
    request.writer.close()


@behaviour
async def long_part(request: Request, data: bytes) -> None:
    first, last = request.span(len(data)) or (0, 0)
    await request.head(206, Content_Range=f"bytes {first}-{last}/{len(data)}", Connection="close")
    with contextlib.suppress(ConnectionError):
        while True:
            await request.send(bytes(CHUNK))


@behaviour
async def grows(request: Request, data: bytes) -> None:
    first, _ = request.span(len(data)) or (0, 0)
    await parts(request, data, total=len(data) + (1 if first else 0))


@behaviour
async def changes(request: Request, data: bytes) -> None:
    first, _ = request.span(len(data)) or (0, 0)
    await parts(request, data, ETag='"two"' if first else '"one"')


@behaviour
async def ranges_once(request: Request, data: bytes) -> None:
    first, _ = request.span(len(data)) or (0, 0)
    await (whole if first else ranges)(request, data)


@behaviour
async def gone_later(request: Request, data: bytes) -> None:
    first, _ = request.span(len(data)) or (0, 0)
    if first:
        await request.head(404, Content_Length=0)
    else:
        await ranges(request, data)


@behaviour
async def promises_more(request: Request, data: bytes) -> None:
    await request.head(200, Content_Length=len(data) + 1000, Connection="close")
    await request.send(data)
    request.writer.close()


@behaviour
async def promises_petabytes(request: Request, data: bytes) -> None:
    await request.head(200, Content_Length=10**15 - 1)
    await request.send(data)


@behaviour
async def two_lengths(request: Request, data: bytes) -> None:
    request.writer.write(
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n" + data[:6]
    )
    await request.writer.drain()


@behaviour
async def two_ranges(request: Request, data: bytes) -> None:
    request.writer.write(
        b"HTTP/1.1 206 OK\r\nContent-Length: 5\r\nContent-Range: bytes 0-4/5\r\n"
        b"Content-Range: bytes 0-4/9\r\n\r\n" + data[:5]
    )
    await request.writer.drain()


@behaviour
async def negative_length(request: Request, data: bytes) -> None:
    await request.head(200, Content_Length=-5)
    await request.send(data)


@behaviour
async def overflowing_range(request: Request, data: bytes) -> None:
    await request.head(206, Content_Range=f"bytes 0-{2**80}/{2**80 + 1}", Content_Length=len(data))
    await request.send(data)


@behaviour
async def several_parts(request: Request, data: bytes) -> None:
    await request.head(206, Content_Type="multipart/byteranges; boundary=x", Content_Length=4)
    await request.send(b"--x\r")


@behaviour
async def endless(request: Request, data: bytes) -> None:
    await request.head(200, Connection="close")
    with contextlib.suppress(ConnectionError):
        while True:
            await request.send(bytes(CHUNK))


@behaviour
async def endless_chunks(request: Request, data: bytes) -> None:
    await request.head(200, Transfer_Encoding="chunked")
    with contextlib.suppress(ConnectionError):
        while True:
            await request.send(b"10000\r\n" + bytes(CHUNK) + b"\r\n")


@behaviour
async def endless_head(request: Request, data: bytes) -> None:
    request.writer.write(b"HTTP/1.1 200 OK\r\n")
    with contextlib.suppress(ConnectionError):
        while True:
            await request.send(b"X-Filler: " + b"x" * 1000 + b"\r\n")


@behaviour
async def endless_hints(request: Request, data: bytes) -> None:
    with contextlib.suppress(ConnectionError):
        while True:
            await request.send(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100)


@behaviour
async def crumbs(request: Request, data: bytes) -> None:
    await request.head(200, Transfer_Encoding="chunked")
    with contextlib.suppress(ConnectionError):
        while True:
            await request.send(b"1\r\nx\r\n" * 10_000)


@behaviour
async def endless_chunk_head(request: Request, data: bytes) -> None:
    await request.head(200, Transfer_Encoding="chunked")
    with contextlib.suppress(ConnectionError):
        while True:
            await request.send(b"0" * CHUNK)


@behaviour
async def silent(request: Request, data: bytes) -> None:
    await asyncio.sleep(3600)


@behaviour
async def stalled(request: Request, data: bytes) -> None:
    await request.head(200, Content_Length=len(data))
    await request.send(data[: len(data) // 2])
    await asyncio.sleep(3600)


@behaviour
async def stalled_later(request: Request, data: bytes) -> None:
    first, _ = request.span(len(data)) or (0, 0)
    await (silent if first else ranges)(request, data)


@behaviour
async def dripping(request: Request, data: bytes) -> None:
    await request.head(200, Content_Length=len(data))
    with contextlib.suppress(ConnectionError):
        for at in range(len(data)):
            await request.send(data[at : at + 1])
            await asyncio.sleep(0.05)


@behaviour
async def dripping_head(request: Request, data: bytes) -> None:
    with contextlib.suppress(ConnectionError):
        for byte in b"HTTP/1.1 200 OK\r\nX: " + b"x" * 10**6:
            await request.send(bytes([byte]))
            await asyncio.sleep(0.05)


@behaviour
async def hangs_up(request: Request, data: bytes) -> None:
    request.writer.close()


@behaviour
async def resets(request: Request, data: bytes) -> None:
    request.writer.transport.abort()


@behaviour
async def garbage(request: Request, data: bytes) -> None:
    await request.send(b"\x16\x03\x01\x02\x00garbage\r\n\r\n")
    request.writer.close()


@behaviour
async def bad_chunks(request: Request, data: bytes) -> None:
    await request.head(200, Transfer_Encoding="chunked")
    await request.send(b"zz\r\nabc\r\n")


@behaviour
async def gzip(request: Request, data: bytes) -> None:
    await request.head(200, Content_Encoding="gzip", Content_Length=len(data))
    await request.send(data)


@behaviour
async def loop(request: Request, data: bytes) -> None:
    await request.head(302, Location=request.target, Content_Length=0)


@behaviour
async def nowhere(request: Request, data: bytes) -> None:
    await request.head(302, Content_Length=0)


@behaviour
async def empty(request: Request, data: bytes) -> None:
    await request.head(200, Content_Length=0)


@behaviour
async def missing(request: Request, data: bytes) -> None:
    await request.head(404, Content_Length=0)


@behaviour
async def forbidden(request: Request, data: bytes) -> None:
    await request.head(403, Content_Length=0)


@behaviour
async def broken(request: Request, data: bytes) -> None:
    await request.head(500, Content_Length=0)


@behaviour
async def gone(request: Request, data: bytes) -> None:
    await request.head(410, Content_Length=0)


@behaviour
async def thanks(request: Request, data: bytes) -> None:
    await request.head(204)


@behaviour
async def busy_twice(request: Request, data: bytes) -> None:
    seen[request.target] = seen.get(request.target, 0) + 1
    await request.head(503 if seen[request.target] <= 2 else 200, Content_Length=0)


@behaviour
async def no_such_part(request: Request, data: bytes) -> None:
    await request.head(416, Content_Range="bytes */0", Content_Length=0)


@behaviour
async def to(request: Request, data: bytes) -> None:
    """``/to/URL``: a redirect to anything at all."""
    from urllib.parse import unquote_to_bytes

    location = unquote_to_bytes(request.target.removeprefix("/to/"))
    request.writer.write(
        b"HTTP/1.1 302 Found\r\nLocation: " + location + b"\r\nContent-Length: 0\r\n\r\n"
    )
    await request.writer.drain()


@dataclass
class Site:
    media: dict[str, bytes] = field(default_factory=dict)
    log: list[dict[str, object]] = field(default_factory=list)
    connections: int = 0

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while not writer.is_closing():
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                first, *rest = head.split("\r\n")
                method, target, _ = first.split(" ")
                pairs = (line.split(":", 1) for line in rest if line)
                headers = {name.lower(): value.strip() for name, value in pairs}
                request = Request(method, target, headers, writer)
                request.body = await reader.readexactly(int(headers.get("content-length", 0)))
                await self.answer(request)
        writer.close()

    async def answer(self, request: Request) -> None:
        target = request.target
        if request.method == "PUT":
            self.media[target.lstrip("/")] = request.body
            await request.head(204)
        elif target == "/log":
            text = json.dumps({"requests": self.log, "connections": self.connections}).encode()
            await request.head(200, Content_Length=len(text))
            await request.send(text)
        else:
            entry: dict[str, object] = {
                "method": request.method,
                "target": target,
                "headers": request.headers,
                "body": request.body.decode("latin-1"),
                "sent": 0,
            }
            self.log.append(entry)
            kind, _, name = target.split("?")[0].lstrip("/").partition("/")
            data = self.media.get(name.split("/")[-1])
            unknown = data is None and kind in ("whole", "ranges")
            action = missing if unknown else BEHAVIOURS.get(kind, missing)
            try:
                await action(request, data or b"?")
            finally:
                entry["sent"] = request.sent


async def serve() -> None:
    site = Site()
    server = await asyncio.start_server(site.connected, HOST, 0, limit=2**20)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(serve())
