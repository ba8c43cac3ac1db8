"""Which headers travel: few enough that nobody can make one request look like another."""

from __future__ import annotations

from collections.abc import Iterable

_MEDIA = ("accept", "accept-language", "cookie", "origin", "referer", "user-agent")
_PAGES = (*_MEDIA, "authorization", "content-type")
_ANSWERS = (
    "cf-mitigated",
    "content-disposition",
    "content-type",
    "last-modified",
    "location",
    "refresh",
    "set-cookie",
)
# They tell a server behind a proxy who asks.
_ON_BEHALF = ("x-forwarded", "x-real", "x-client-ip", "x-original", "x-cluster", "x-http-method")
_ANSWER_BYTES = 32 * 2**10


def of_request(name: str) -> bool:
    """Whether a page's site may be sent this header."""
    return name.lower() in _PAGES or _extension(name)


def of_media(name: str) -> bool:
    """Whether the origin of a page's video may be sent it."""
    return name.lower() in _MEDIA or _extension(name)


def of_answer(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Those of an answer that are of use to who reads a page, as many as 32 KiB hold."""
    kept, size = [], 0
    for name, value in pairs:
        if name.lower() in _ANSWERS or _extension(name):
            size += len(name) + len(value)
            if size > _ANSWER_BYTES:
                break
            kept.append((name, value))
    return kept


def _extension(name: str) -> bool:
    lower = name.lower()
    return lower.startswith("x-") and not lower.startswith(_ON_BEHALF)
