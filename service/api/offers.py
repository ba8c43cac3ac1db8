"""``/page/offers.json``: what of the service the page shows people a way to."""

from __future__ import annotations

from fastapi import APIRouter, Response
from pydantic import BaseModel

from service.settings import Settings


class Offers(BaseModel):
    """What this service does for those who may use it."""

    keys: bool
    """Whether a key is asked for."""
    docs: bool
    """Whether there is a page on the API."""
    links: bool
    """Whether videos are taken by URL."""
    receipts: bool
    """Whether findings are signed where somebody asks for that."""


def router(settings: Settings) -> APIRouter:
    """The route; like the page it is not in the schema, and asks for no key."""
    routes = APIRouter(include_in_schema=False)
    offers = Offers(
        keys=bool(settings.auth.keys),
        docs=settings.server.docs,
        links=settings.fetch.enabled,
        receipts=settings.receipt.key is not None,
    )

    @routes.api_route("/page/offers.json", methods=["GET", "HEAD"])
    async def show(response: Response) -> Offers:
        response.headers["Cache-Control"] = "no-cache"
        return offers

    return routes
