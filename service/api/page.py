"""``/``: the page for people, from the files of ``service/page``, which are read once and held.

Its addresses are relative, so that it works under any prefix, and nothing of it comes from
elsewhere: its policy lets a browser load, run and ask this service alone. All but the first file
lie below a version, which is that of all of them together: while one release of the service takes
another's place, no browser mixes the two.
"""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from fastapi import APIRouter, Request
from starlette.responses import Response

from service.api.accept import takes
from service.errors import NotFound

FOLDER = Path(__file__).resolve().parents[1] / "page"

FIRST = "index.html"
"""Served at ``/``, where its relative addresses hold, and not among the others."""

_ADDRESSED = re.compile(rb'(?<==")page/(?=[\w.]+")')
"""Where the first file names others."""

TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
}
"""What is served of the folder, by how its name ends; whatever else lies there is not."""

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob: data:",
        "media-src blob:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        # No text becomes markup or code, even by mistake.
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)

_CLOSED = (
    "accelerometer",
    "camera",
    "display-capture",
    "geolocation",
    "gyroscope",
    "hid",
    "magnetometer",
    "microphone",
    "midi",
    "payment",
    "publickey-credentials-get",
    "screen-wake-lock",
    "serial",
    "usb",
    "xr-spatial-tracking",
)

HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": ", ".join(f"{name}=()" for name in _CLOSED),
    "Vary": "Accept-Encoding",
}

ANEW = {"Cache-Control": "no-cache"}
KEPT = {"Cache-Control": "max-age=31536000, immutable"}


@dataclass(frozen=True, slots=True)
class File:
    """One file in the two forms it is sent in."""

    kind: str
    plain: bytes
    packed: bytes
    """The same by gzip."""
    digest: str
    caching: Mapping[str, str]

    def answer(self, request: Request) -> Response:
        """Whole, or 304 where the browser has it."""
        packs = takes(",".join(request.headers.getlist("accept-encoding")), "gzip")
        tag = f'"{self.digest}-gzip"' if packs else f'"{self.digest}"'
        # A browser takes these over for what it kept, the policy with them.
        headers = {**HEADERS, **self.caching, "ETag": tag}
        if _has(request, tag):
            return Response(status_code=304, headers=headers)
        if packs:
            headers["Content-Encoding"] = "gzip"
        return Response(self.packed if packs else self.plain, headers=headers, media_type=self.kind)


@dataclass(frozen=True, slots=True)
class Page:
    """All files of one release."""

    version: str
    """Twelve hexadecimal digits."""
    first: File
    parts: Mapping[str, File]
    """The others, by name."""


@cache
def page() -> Page:
    """The page of this release."""
    found = {
        path.name: path.read_bytes()
        for path in sorted(FOLDER.iterdir())
        if path.suffix in TYPES and path.is_file()
    }
    lines = (f"{name} {_digest(content)}\n" for name, content in found.items())
    version = _digest("".join(lines).encode())[:12]
    first = _ADDRESSED.sub(f"page/{version}/".encode(), found.pop(FIRST))
    return Page(
        version,
        _pack(FIRST, first, ANEW),
        {name: _pack(name, content, KEPT) for name, content in found.items()},
    )


def router() -> APIRouter:
    """The routes; none of them stands in the schema, and none asks for a key."""
    served = page()
    routes = APIRouter(include_in_schema=False)

    @routes.api_route("/", methods=["GET", "HEAD"])
    async def first(request: Request) -> Response:
        return served.first.answer(request)

    @routes.api_route("/page/{version}/{name}", methods=["GET", "HEAD"])
    async def part(version: str, name: str, request: Request) -> Response:
        if version != served.version or name not in served.parts:
            raise NotFound("The page of this release has no such file.")
        return served.parts[name].answer(request)

    return routes


def _pack(name: str, plain: bytes, caching: Mapping[str, str]) -> File:
    # With a time in it, each start would send another file under the same tag.
    packed = gzip.compress(plain, mtime=0)
    return File(TYPES[Path(name).suffix], plain, packed, _digest(plain)[:32], caching)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _has(request: Request, tag: str) -> bool:
    """Whether ``If-None-Match`` names this form. A proxy that packs anew weakens tags."""
    given = ",".join(request.headers.getlist("if-none-match")).split(",")
    return bool({each.strip().removeprefix("W/") for each in given} & {tag, "*"})
