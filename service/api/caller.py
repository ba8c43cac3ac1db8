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
        request.state.caller = network(request.client.host if request.client else "")

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


def network(host: str) -> str:
    """What bounds are for where there are no keys: an IPv4 address, however it is written, or the
    network of an IPv6 one."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return "unknown"
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address.packed, _NETWORK), strict=False))
