"""Problem documents (RFC 9457): every answer that is not a success has this one form."""

from __future__ import annotations

import math
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from service.errors import (
    HeadersTooLarge,
    MalformedRequest,
    MethodNotAllowed,
    NotFound,
    NotReady,
    RateLimited,
    ServiceError,
    SlowBody,
    Unauthorized,
    UnsupportedMediaType,
)

MEDIA_TYPE = "application/problem+json"

_RETRY_AFTER = 5.0
"""Seconds, where an error asks to try again and does not say when."""

_RETRY_STATUS = {429, 503}


class Problem(BaseModel):
    """What went wrong, in the form of RFC 9457."""

    type: str = Field(description="Identifies the kind of problem; can be fetched from here")
    title: str = Field(description="The kind of problem in a few words")
    status: int = Field(description="The HTTP status, repeated")
    code: str = Field(description="Stable name of the kind of problem, for programs")
    detail: str = Field(description="What went wrong this time, for people")
    request_id: str = Field(description="As in X-Request-ID; name it when you ask for help")


class ProblemKind(BaseModel):
    """One kind of problem."""

    type: str
    title: str
    status: int
    code: str
    description: str


def kinds() -> dict[str, type[ServiceError]]:
    """Every kind of error a caller may see, by its code."""
    found: dict[str, type[ServiceError]] = {}
    waiting: list[type[ServiceError]] = [ServiceError]
    while waiting:
        kind = waiting.pop()
        # A kind within a kind has no code of its own.
        found.setdefault(kind.code, kind)
        waiting.extend(kind.__subclasses__())
    return dict(sorted(found.items(), key=lambda item: (item[1].status, item[0])))


def describe(kind: type[ServiceError]) -> str:
    """One sentence on a kind of error."""
    if kind is ServiceError:
        return "Something failed that should not have; the log has more under the request id."
    return (kind.__doc__ or "").split("\n\n")[0].replace("``", "")


def document(error: ServiceError, request_id: str) -> Problem:
    """The problem document of one error."""
    return Problem(
        type=f"/problems/{error.code}",
        title=error.title,
        status=error.status,
        code=error.code,
        detail=error.detail,
        request_id=request_id,
    )


def response(
    error: ServiceError, request_id: str, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """The HTTP answer to one error."""
    sent = dict(headers or {}) | {"Cache-Control": "no-store"}
    if error.retry_after is not None or error.status in _RETRY_STATUS:
        seconds = _RETRY_AFTER if error.retry_after is None else error.retry_after
        sent["Retry-After"] = str(math.ceil(seconds))
    if isinstance(error, Unauthorized):
        sent["WWW-Authenticate"] = 'Bearer realm="deepfake-service"'
    if isinstance(error, UnsupportedMediaType):
        sent |= {"Accept": error.accept, "Accept-Encoding": "identity"}
    return _Answer(
        document(error, request_id).model_dump(), error.status, sent, media_type=MEDIA_TYPE
    )


class _Answer(JSONResponse):
    """Leaves its code where the request is logged and counted."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        note(scope, self._code)
        await super().__call__(scope, receive, send)

    def render(self, content: Any) -> bytes:
        """The document as bytes."""
        self._code: str = content["code"]
        return super().render(content)


def note(scope: Scope, code: str) -> None:
    """Let whoever logs and counts this request know of its error."""
    scope["state"]["problem"] = code


def responses(*errors: type[ServiceError]) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI ``responses`` of a route that may raise these errors."""
    found: dict[int | str, dict[str, Any]] = {}
    for kind in errors:
        entry = found.setdefault(
            kind.status,
            {
                "description": HTTPStatus(kind.status).phrase,
                "content": {
                    MEDIA_TYPE: {
                        "schema": {"$ref": "#/components/schemas/Problem"},
                        "examples": {},
                    }
                },
            },
        )
        example = document(kind(describe(kind)), "0f8fad5bd9cb469fa16570867728950e")
        entry["content"][MEDIA_TYPE]["examples"][kind.code] = {"value": example.model_dump()}
    return found


def anywhere() -> dict[int | str, dict[str, Any]]:
    """The OpenAPI ``responses`` of every route: what ``service.wire`` says before there is one, and
    what befalls any. A route's own entry for the same status must name these too."""
    return responses(
        MalformedRequest, SlowBody, HeadersTooLarge, RateLimited, ServiceError, NotReady
    )


def install(app: FastAPI) -> None:
    """Make the app answer every error it knows with a problem document."""

    async def service_error(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, ServiceError)
        return response(error, request.state.request_id)

    async def http_error(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        return response(_known(error), request.state.request_id, error.headers)

    async def invalid(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        return response(MalformedRequest(_first_fault(error)), request.state.request_id)

    app.add_exception_handler(ServiceError, service_error)
    app.add_exception_handler(HTTPException, http_error)
    app.add_exception_handler(RequestValidationError, invalid)


def _known(error: HTTPException) -> ServiceError:
    """The framework's own errors: no such path, no such method, a request it cannot read."""
    if error.status_code == 404:
        return NotFound("Nothing is served under this path.")
    if error.status_code == 405:
        return MethodNotAllowed("This path does not take this method.")
    if error.status_code < 500:
        return MalformedRequest("The request cannot be read.")
    return ServiceError("Something failed inside the service.")


def _first_fault(error: RequestValidationError) -> str:
    """Name the field at fault; what was sent for it, or an unknown field's name, is not echoed."""
    fault = error.errors()[0]
    if fault["type"] == "extra_forbidden":
        return "The query holds a parameter that this path does not take."
    where, *names = fault["loc"]
    return f"The {where} parameter '{'.'.join(map(str, names))}' is wrong: {fault['msg']}."


def router() -> APIRouter:
    """Serves what the ``type`` of a problem points at."""
    routes = APIRouter(tags=["problems"])

    @routes.get(
        "/problems/{code}",
        summary="What a kind of problem means",
        responses=responses(NotFound),
    )
    async def problem(code: str) -> ProblemKind:
        kind = kinds().get(code)
        if kind is None:
            raise NotFound("There is no problem of this code.")
        return ProblemKind(
            type=f"/problems/{kind.code}",
            title=kind.title,
            status=kind.status,
            code=kind.code,
            description=describe(kind),
        )

    return routes
