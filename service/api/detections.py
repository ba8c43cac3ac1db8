"""``POST /v1/detections``: a video in, its report out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from service import errors
from service.api import problems
from service.api.accept import require_json
from service.api.examples import REPORT
from service.api.query import DetectionQuery
from service.api.readiness import require_ready
from service.engine import Engine, Event, Finished, Media
from service.metrics import Metrics
from service.report import Report, Timing
from service.settings import Limits
from service.sources.upload import receive

_RAISES = (
    errors.MalformedRequest,
    errors.EmptyBody,
    errors.UnknownModel,
    errors.Unauthorized,
    errors.NotAcceptable,
    errors.SlowBody,
    errors.TooLarge,
    errors.UnsupportedMediaType,
    errors.Undecodable,
    errors.NoVideo,
    errors.OverLimits,
    errors.TooSlow,
    errors.RateLimited,
    errors.Busy,
    errors.HeadersTooLarge,
    errors.ServiceError,
    errors.WorkerLost,
    errors.NotReady,
)

_BYTES = {"type": "string", "format": "binary", "minLength": 1}

_BODY = {
    "required": True,
    "description": "The video: the one part `file` of a form, or the bytes themselves.",
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["file"],
                "properties": {"file": _BYTES},
                "additionalProperties": False,
            }
        },
        "video/*": {"schema": _BYTES},
        "application/octet-stream": {"schema": _BYTES},
    },
}


def router(engine: Engine, limits: Limits, metrics: Metrics) -> APIRouter:
    """The route that scores videos."""
    routes = APIRouter(tags=["detections"])

    async def admit() -> None:
        """Turn a request away before its body is read: the place for all back-pressure."""
        require_ready(engine)

    @routes.post(
        "/v1/detections",
        summary="Score a video",
        response_model=Report,
        dependencies=[Depends(require_json), Depends(admit)],
        responses=problems.responses(*_RAISES)
        | {
            200: {
                "content": {"application/json": {"example": REPORT}},
                "headers": {
                    "Server-Timing": {
                        "description": "Milliseconds spent in each stage",
                        "schema": {"type": "string"},
                    }
                },
            }
        },
        openapi_extra={"requestBody": _BODY},
    )
    async def detect(query: Annotated[DetectionQuery, Query()], request: Request) -> Response:
        options = query.options(engine.readiness())
        started = time.perf_counter()
        media = await _media(request, limits)
        received = time.perf_counter() - started
        report = await _while_connected(request, engine.detect(media, options))
        metrics.detection(report, received)
        return Response(
            report.model_dump_json(),
            media_type="application/json",
            headers={
                "Cache-Control": "no-store",
                "Server-Timing": _server_timing(received, report.timing),
            },
        )

    return routes


async def _media(request: Request, limits: Limits) -> Media:
    """Read the body."""
    headers = request.headers
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise errors.UnsupportedMediaType("A body with a Content-Encoding is not read.")
    length = headers.get("content-length")
    bodiless = length is None and "transfer-encoding" not in headers
    async with aclosing(request.stream()) as chunks:
        upload = await receive(
            chunks,
            content_type=headers.get("content-type", ""),
            content_length=0 if bodiless else int(length) if length else None,
            limit=limits.bytes,
            seconds=limits.upload_seconds,
        )
    return Media(upload.data, upload.sha256)


async def _while_connected(request: Request, events: AsyncIterator[Event]) -> Report:
    """The report at the end of the events; the work is dropped when the client goes away."""
    work = asyncio.create_task(_report(events))
    gone = asyncio.create_task(_disconnected(request))
    try:
        await asyncio.wait((work, gone), return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            raise ClientDisconnect
        return work.result()
    finally:
        work.cancel()
        gone.cancel()
        await asyncio.gather(work, gone, return_exceptions=True)


async def _report(events: AsyncIterator[Event]) -> Report:
    report = None
    async for event in events:
        if isinstance(event, Finished):
            report = event.report
    if report is None:
        raise RuntimeError("the engine ended without a report")
    return report


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _server_timing(received: float, timing: Timing) -> str:
    stages: dict[str, Any] = {"receive": received} | timing.model_dump()
    return ", ".join(f"{name};dur={seconds * 1000:.1f}" for name, seconds in stages.items())
