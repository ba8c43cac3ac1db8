"""Content negotiation: which of the forms that a path answers in the caller wants most."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import Request

from service.errors import NotAcceptable

JSON = "application/json"
NDJSON = "application/x-ndjson"
SSE = "text/event-stream"


def negotiate(accept: str, offers: Sequence[str]) -> str | None:
    """The offer with the highest quality in an ``Accept`` header (RFC 9110, 12.5.1), the first of
    equals; None where it admits none. No header admits everything."""
    if not accept:
        return offers[0]
    ranges = _ranges(accept)
    best = max(offers, key=lambda offer: _quality(offer, ranges))
    return best if _quality(best, ranges) > 0 else None


def accepted(request: Request, *offers: str) -> str:
    """The form to answer this request in. Raises ``NotAcceptable``."""
    chosen = negotiate(",".join(request.headers.getlist("accept")), offers)
    if chosen is None:
        raise NotAcceptable(f"This path answers in {' or '.join(offers)} only.")
    return chosen


def takes(accept_encoding: str, coding: str) -> bool:
    """Whether an ``Accept-Encoding`` header (RFC 9110, 12.5.3) asks for this coding; no header does
    not."""
    ranges = _ranges(accept_encoding)
    return ranges.get(coding, ranges.get("*", 0.0)) > 0


async def require_json(request: Request) -> None:
    """Dependency of routes that answer in JSON."""
    accepted(request, JSON)


def _ranges(accept: str) -> dict[str, float]:
    ranges = {}
    for part in accept.lower().split(","):
        kind, *parameters = (piece.strip() for piece in part.split(";"))
        ranges[kind] = _weight(parameters)
    return ranges


def _quality(offer: str, ranges: dict[str, float]) -> float:
    """The most specific range that holds the offer decides."""
    for kind in (offer, offer.split("/")[0] + "/*", "*/*"):
        if kind in ranges:
            return ranges[kind]
    return 0.0


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0
