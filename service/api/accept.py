"""Content negotiation: JSON is all there is, so it only has to be seen whether it is wanted."""

from __future__ import annotations

from fastapi import Request

from service.errors import NotAcceptable

_MATCHES = {"application/json": 2, "application/*": 1, "*/*": 0}


def json_accepted(accept: str) -> bool:
    """Whether an ``Accept`` header admits ``application/json``; the most specific range decides."""
    best, wanted = -1, False
    for part in accept.lower().split(","):
        kind, *parameters = (piece.strip() for piece in part.split(";"))
        rank = _MATCHES.get(kind, -1)
        if rank > best:
            best, wanted = rank, _quality(parameters) > 0
    return wanted


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0


async def require_json(request: Request) -> None:
    """Dependency of routes that answer in JSON."""
    accept = ",".join(request.headers.getlist("accept"))
    if accept and not json_accepted(accept):
        raise NotAcceptable("This path answers in application/json only.")
