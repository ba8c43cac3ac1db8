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
# What readers of the sites that are read unless settings say otherwise set. No others: many tell a
# server behind a proxy who asks, or for what.
_EXTENSIONS = frozenset(
    {
        "x-argus",
        "x-asbd-id",
        "x-csrf-token",
        "x-csrftoken",
        "x-fb-friendly-name",
        "x-fb-lsd",
        "x-goog-authuser",
        "x-goog-pageid",
        "x-goog-visitor-id",
        "x-guest-token",
        "x-ig-app-id",
        "x-ig-www-claim",
        "x-instagram-gis",
        "x-origin",
        "x-requested-with",
        "x-twitter-active-user",
        "x-twitter-auth-type",
        "x-twitter-client-language",
        "x-youtube-bootstrap-logged-in",
        "x-youtube-client-name",
        "x-youtube-client-version",
    }
)
_ANSWER_BYTES = 32 * 2**10


def of_request(name: str) -> bool:
    """Whether a page's site may be sent this header."""
    return name.lower() in _PAGES or name.lower() in _EXTENSIONS


def of_media(name: str) -> bool:
    """Whether the origin of a page's video may be sent it."""
    return name.lower() in _MEDIA or name.lower() in _EXTENSIONS


def of_answer(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Those of an answer that are of use to who reads a page, as many as 32 KiB hold."""
    kept, size = [], 0
    for name, value in pairs:
        if name.lower() in _ANSWERS or name.lower().startswith("x-"):
            size += len(name) + len(value)
            if size > _ANSWER_BYTES:
                break
            kept.append((name, value))
    return kept
