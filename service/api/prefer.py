"""``Prefer`` (RFC 7240): whether the caller would rather fetch the answer later."""

from __future__ import annotations

from fastapi import Request

RESPOND_ASYNC = "respond-async"


def respond_async(request: Request) -> bool:
    """Whether the request prefers to be answered before the work is done."""
    for value in request.headers.getlist("prefer"):
        for preference in value.split(","):
            if preference.split(";")[0].strip().lower() == RESPOND_ASYNC:
                return True
    return False
