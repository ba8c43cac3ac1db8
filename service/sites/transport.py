"""How yt-dlp reaches the web from where there is none: by asking the parent."""

from __future__ import annotations

import io
import urllib.request
import urllib.response
from collections.abc import Callable
from email.message import Message
from http.cookiejar import CookieJar
from typing import Any
from urllib.parse import urljoin, urlsplit

from pydantic import ValidationError
from yt_dlp.networking.common import Request, RequestHandler, Response
from yt_dlp.networking.exceptions import HTTPError, TransportError

from service.sites import headers
from service.sites.messages import POSTED_BYTES, Given, Wanted

Ask = Callable[[Wanted, bytes], tuple[Given, bytes] | None]
"""Sends one request and gives its answer, None where there is none."""

_REDIRECTS = 5
_MOVED = frozenset({301, 302, 303, 307, 308})


class ParentRH(RequestHandler):  # type: ignore[misc]
    """The one way out. Follows redirects itself, so that the parent looks at each of them, and
    cookies of each are kept. Its name ends as yt-dlp wants it."""

    _SUPPORTED_URL_SCHEMES = ("http", "https")

    def __init__(self, ask: Ask, **options: Any) -> None:
        super().__init__(**options)
        self._ask = ask

    def _check_extensions(self, extensions: dict[str, Any]) -> None:
        super()._check_extensions(extensions)
        for understood in ("cookiejar", "timeout", "legacy_ssl", "keep_header_casing"):
            extensions.pop(understood, None)

    def _send(self, request: Request) -> Response:
        method, url, body = request.method, request.url, _body(request.data)
        sent = {name.title(): value for name, value in self._get_headers(request).items()}
        jar = self._get_cookiejar(request)
        for _ in range(_REDIRECTS + 1):
            given, data = self._answer(method, url, sent, body, jar)
            answered = _headers(given)
            _keep_cookies(jar, url, answered)
            response = Response(io.BytesIO(data), url, answered, given.status)
            location = answered.get("Location")
            if given.status not in _MOVED or not location:
                if 200 <= given.status < 300:
                    return response
                raise HTTPError(response)
            if _becomes_get(method, given.status):
                method, body = "GET", b""
                sent.pop("Content-Type", None)
            there = urljoin(url, location)
            # What was said to one host is not repeated to another, nor without TLS.
            sent.pop("Cookie", None)
            if urlsplit(there)[:2] != urlsplit(url)[:2]:
                sent = {name: value for name, value in sent.items() if not _tells_who(name)}
            url = there
        raise HTTPError(response, redirect_loop=True)

    def _answer(
        self, method: str, url: str, sent: dict[str, str], body: bytes, jar: CookieJar
    ) -> tuple[Given, bytes]:
        cookies = sent.get("Cookie") or jar.get_cookie_header(url)  # type: ignore[attr-defined]
        allowed = {name: value for name, value in sent.items() if headers.of_request(name)}
        if cookies:
            allowed["Cookie"] = cookies
        try:
            wanted = Wanted(method=method, url=url, headers=allowed)  # type: ignore[arg-type]
        except ValidationError:
            raise TransportError("a request that is not sent") from None
        answer = self._ask(wanted, body)
        if answer is None:
            raise TransportError("no answer")
        return answer


def _tells_who(name: str) -> bool:
    return name == "Authorization" or name.startswith("X-")


def _body(data: Any) -> bytes:
    """Of what yt-dlp takes for one: bytes, an iterable of them, a file."""
    if data is None:
        return b""
    whole = bytes(data) if isinstance(data, bytes) else b"".join(data)
    if len(whole) > POSTED_BYTES:
        raise TransportError("a body that is not sent")
    return whole


def _headers(given: Given) -> Message:
    """The one mapping that holds a header twice."""
    found = Message()
    for name, value in given.headers:
        found.add_header(name, value)
    return found


def _keep_cookies(jar: CookieJar, url: str, answered: Message) -> None:
    response: Any = urllib.response.addinfourl(io.BytesIO(), answered, url)
    jar.extract_cookies(response, urllib.request.Request(url))


def _becomes_get(method: str, status: int) -> bool:
    """As browsers do (RFC 9110, 15.4)."""
    return (status == 303 and method != "HEAD") or (status in (301, 302) and method == "POST")
