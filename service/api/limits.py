"""``GET /v1/limits``: what one request may cost, with the values in force."""

from __future__ import annotations

from typing import cast

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from service.api import problems
from service.api.accept import require_json
from service.errors import NotAcceptable, Unauthorized
from service.settings import Limits


class Limit(BaseModel):
    """One limit."""

    value: float = Field(description="In force now")
    default: float
    unit: str
    description: str


def table(limits: Limits) -> dict[str, Limit]:
    """Every limit by its name, in the order of the settings."""
    rows = {}
    for name, field in Limits.model_fields.items():
        extra = cast(dict[str, str], field.json_schema_extra)
        rows[name] = Limit(
            value=getattr(limits, name),
            default=field.default,
            unit=extra["unit"],
            description=field.description or "",
        )
    return rows


def router(limits: Limits) -> APIRouter:
    """The route that shows the limits."""
    routes = APIRouter(tags=["service"])

    @routes.get(
        "/v1/limits",
        summary="Limits on one request",
        dependencies=[Depends(require_json)],
        responses=problems.responses(NotAcceptable, Unauthorized),
    )
    async def show() -> dict[str, Limit]:
        return table(limits)

    return routes
