"""A server that does what ours must not: Starlette's own form parsing, which spools to disk, and a
word to somebody else.

Run as ``python -m tests.security.spilling PORT``. The control of the persistence test.
"""

from __future__ import annotations

import asyncio
import socket
import sys

import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route


async def detect(request: Request) -> JSONResponse:
    """Take an upload the usual way."""
    async with request.form() as form:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as outward:
            outward.connect(("127.0.0.1", 9))
            return await _worked_on(form)


async def _worked_on(form: FormData) -> JSONResponse:
    # As long as any work on it would take: the test looks from outside, now and then.
    await asyncio.sleep(0.5)
    return JSONResponse({"parts": len(form)})


async def ready(_: Request) -> JSONResponse:
    """Answer the test's question whether the server is up."""
    return JSONResponse({})


if __name__ == "__main__":
    routes = [
        Route("/v1/detections", detect, methods=["POST"]),
        Route("/v2/health/ready", ready),
    ]
    uvicorn.run(Starlette(routes=routes), port=int(sys.argv[1]), log_level="warning")
