"""``/``: the page for people, from the files of ``service/page``, which are read once and held.

Its addresses are relative, so that it works under any prefix, and nothing of it comes from
elsewhere: its policy lets a browser load, run and ask this service alone.
"""

from __future__ import annotations

import gzip
import hashlib
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
    "Cache-Control": "no-cache",
    "Vary": "Accept-Encoding",
}


@dataclass(frozen=True, slots=True)
class File:
    """One file in the two forms it is sent in."""

    kind: str
    plain: bytes
    packed: bytes
    """The same by gzip."""
    digest: str

    def answer(self, request: Request) -> Response:
        """Whole, or 304 where the browser has it."""
        packs = takes(",".join(request.headers.getlist("accept-encoding")), "gzip")
        tag = f'"{self.digest}-gzip"' if packs else f'"{self.digest}"'
        # A browser takes these over for what it kept, the policy with them.
        headers = HEADERS | {"ETag": tag}
        if _has(request, tag):
            return Response(status_code=304, headers=headers)
        if packs:
            headers["Content-Encoding"] = "gzip"
        return Response(self.packed if packs else self.plain, headers=headers, media_type=self.kind)


@cache
def files() -> Mapping[str, File]:
    """Every file of the page by its name."""
    return {
        path.name: _read(path)
        for path in sorted(FOLDER.iterdir())
        if path.suffix in TYPES and path.is_file()
    }


def router() -> APIRouter:
    """The routes; none of them stands in the schema, and none asks for a key."""
    parts = dict(files())
    first = parts.pop(FIRST)
    routes = APIRouter(include_in_schema=False)

    @routes.api_route("/", methods=["GET", "HEAD"])
    async def page(request: Request) -> Response:
        return first.answer(request)

    @routes.api_route("/page/{name}", methods=["GET", "HEAD"])
    async def part(name: str, request: Request) -> Response:
        if name not in parts:
            raise NotFound("The page has no file of this name.")
        return parts[name].answer(request)

    return routes


def _read(path: Path) -> File:
    plain = path.read_bytes()
    # With a time in it, each start would send another file under the same tag.
    packed = gzip.compress(plain, mtime=0)
    return File(TYPES[path.suffix], plain, packed, hashlib.sha256(plain).hexdigest()[:32])


def _has(request: Request, tag: str) -> bool:
    """Whether ``If-None-Match`` names this form. A proxy that packs anew weakens tags."""
    given = ",".join(request.headers.getlist("if-none-match")).split(",")
    return bool({each.strip().removeprefix("W/") for each in given} & {tag, "*"})
