"""Who asks: the name of the key, or where there are no keys, the address."""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer

from service.auth import Keys
from service.errors import Unauthorized

_BEARER = HTTPBearer(auto_error=False, scheme_name="bearer", description="An API key")
_HEADER = APIKeyHeader(
    name="X-API-Key", auto_error=False, scheme_name="apiKey", description="The same API key"
)

_NETWORK = 64
"""Bits of an IPv6 address that tell clients apart: the rest is each client's own to vary."""


def require_key(keys: Keys) -> Callable[..., Awaitable[None]]:
    """A dependency that names the caller in ``request.state``. Raises ``Unauthorized``."""

    async def anybody(request: Request) -> None:
        request.state.key = None
        request.state.caller = _address(request)

    async def known(
        request: Request,
        bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)],
        header: Annotated[str | None, Depends(_HEADER)],
    ) -> None:
        given = bearer.credentials if bearer else header
        name = keys.name(given) if given else None
        if name is None:
            raise Unauthorized("Send a valid API key, as a bearer token or as X-API-Key.")
        request.state.key = request.state.caller = name

    return known if keys else anybody


def owner(request: Request) -> str:
    """Whose a job is: the key's name; without keys whoever knows the id is the owner."""
    key: str | None = request.state.key
    return key or ""


def _address(request: Request) -> str:
    text = request.client.host if request.client else "unknown"
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return "unknown"
    if address.version == 6:
        return str(ipaddress.ip_network((address.packed, _NETWORK), strict=False))
    return text
