"""``/openapi.json``, and ``/docs``: a page to try the API on, without a byte from elsewhere.

Swagger UI's files come with the package ``fastapi-offline``, which is not imported: only its files
are read.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from starlette.responses import HTMLResponse, JSONResponse, Response

_PACKAGE = "fastapi-offline"
_FOLDER = "fastapi_offline/static/"
_CACHED = {"Cache-Control": "public, max-age=3600"}

# Swagger UI sets style attributes; nothing else of it needs to be trusted.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; "
    "form-action 'none'"
)

# Every address is relative, so that the page works under any prefix.
_PAGE = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Deepfake detection</title>
<link rel="stylesheet" href="docs/swagger-ui.css">
<div id="page"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</html>
"""
_START = 'SwaggerUIBundle({url: "openapi.json", dom_id: "#page", deepLinking: false});\n'


def router(schema: Callable[[], dict[str, Any]]) -> APIRouter:
    """The routes; none of them stands in the schema itself."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/openapi.json")
    async def openapi() -> Response:
        return JSONResponse(schema(), headers=_CACHED)

    @routes.get("/docs")
    async def page() -> Response:
        return HTMLResponse(_PAGE, headers={"Content-Security-Policy": _POLICY})

    @routes.get("/docs/start.js")
    async def start() -> Response:
        return Response(_START, media_type="text/javascript", headers=_CACHED)

    @routes.get("/docs/swagger-ui-bundle.js")
    async def script() -> Response:
        return Response(
            _file("swagger-ui-bundle.js"), media_type="text/javascript", headers=_CACHED
        )

    @routes.get("/docs/swagger-ui.css")
    async def style() -> Response:
        return Response(_file("swagger-ui.css"), media_type="text/css", headers=_CACHED)

    return routes


@cache
def _file(name: str) -> bytes:
    """One of Swagger UI's files."""
    return Path(str(metadata.distribution(_PACKAGE).locate_file(_FOLDER + name))).read_bytes()
