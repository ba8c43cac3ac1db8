"""``GET /metrics`` for Prometheus."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from service.metrics import Metrics


def router(metrics: Metrics) -> APIRouter:
    """The route Prometheus scrapes."""
    routes = APIRouter(tags=["service"])

    @routes.get(
        "/metrics",
        summary="Metrics for Prometheus",
        response_class=Response,
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    )
    async def scrape(request: Request) -> Response:
        text, content_type = metrics.expose(request.headers.get("accept", ""))
        return Response(text, headers={"Content-Type": content_type})

    return routes
