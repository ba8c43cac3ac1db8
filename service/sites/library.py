"""yt-dlp, kept to reading: no download, no files, no other programs, no other way out."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import ValidationError
from yt_dlp import YoutubeDL
from yt_dlp.extractor import extractors
from yt_dlp.globals import plugin_dirs
from yt_dlp.networking.common import RequestDirector
from yt_dlp.utils import DownloadError, ExtractorError, UnsupportedError

from service.sites import headers
from service.sites.messages import Found, Lost
from service.sites.transport import Ask, ParentRH

_HEIGHT = 1080
"""Renditions that are higher are taken only where there are no others."""

# A file is better than a list of pieces: of a file only what is scored need be fetched. Sound is
# not wanted, so nothing ever needs merging.
_FORMAT = "/".join(
    (
        "bv*[protocol~='^https?$']",
        "bv*[protocol~='^m3u8']",
        "bv*[protocol=http_dash_segments][manifest_url^=http]",
    )
)

_LATE = (
    "_strptime",
    "calendar",
    "encodings.ascii",
    "encodings.idna",
    "encodings.latin_1",
    "encodings.punycode",
    "encodings.raw_unicode_escape",
    "encodings.unicode_escape",
    "encodings.utf_16",
    "html.parser",
    "stringprep",
    "unicodedata",
    "yt_dlp.jsinterp",
)
"""What is imported when it is first needed, which is too late for a process that can open no
file."""


class _Silent:
    """Takes what is logged, which holds URLs."""

    def debug(self, message: str) -> None: ...

    def warning(self, message: str) -> None: ...

    def error(self, message: str) -> None: ...


class _Reader(YoutubeDL):  # type: ignore[misc]
    """One that knows the extractors it is given and no others, and reaches what ``ask`` does."""

    def __init__(self, ask: Ask) -> None:
        options = {
            "cachedir": False,
            "check_formats": False,
            "color": "never",
            "extractor_retries": 1,
            "format": _FORMAT,
            "format_sort": [f"res:{_HEIGHT}"],
            "geo_bypass": False,  # It would name another address as the one that asks.
            "js_runtimes": {},
            "logger": _Silent(),
            "noplaylist": True,
            "playlist_items": "1",
            "allow_playlist_files": False,
            "quiet": True,
        }
        self._ask = ask
        super().__init__(options, auto_init=False)

    @functools.cached_property
    def _request_director(self) -> RequestDirector:
        return self.build_request_director([functools.partial(ParentRH, self._ask)])

    def get_info_extractor(self, ie_key: str) -> Any:
        """The base class would load any."""
        if ie_key not in self._ies:
            raise ExtractorError("not among the sites that are read", expected=True)
        return self._ies[ie_key]


class Library:
    """All that reading a page can need is loaded once it is made: then files may be out of reach.

    ``unknown`` are those of ``sites`` that this yt-dlp does not know.
    """

    def __init__(self, sites: Sequence[str], ask: Ask) -> None:
        plugin_dirs.value = []
        self._reader = _Reader(ask)
        self.unknown: list[str] = []
        # Generic, which takes every page, comes after those that know theirs.
        for name in sorted(sites, key=lambda each: each == "Generic"):
            try:
                extractor = getattr(extractors, f"{name}IE")
            except AttributeError:
                self.unknown.append(name)
            else:
                self._reader.add_info_extractor(extractor())
        for name in _LATE:
            importlib.import_module(name)

    def find(self, pages: Iterable[str]) -> Found | Lost:
        """The video of the page that has these URLs, the first of them that a site takes."""
        known = self._reader._ies.values()
        page = next((each for each in pages if any(ie.suitable(each) for ie in known)), None)
        if page is None:
            return Lost(reason="no_site")
        try:
            return self._found(self._reader.extract_info(page, download=False))
        except DownloadError as error:
            # Without a cause it says that no extractor of those that are allowed suits.
            if error.__context__ is None:
                return Lost(reason="no_site")
            empty = isinstance(error.__context__, UnsupportedError)
            return Lost(reason="no_video" if empty else "failed")
        except Exception:
            # Extractors raise whatever a page that has changed makes them raise.
            return Lost(reason="failed")

    def _found(self, info: dict[str, Any] | None) -> Found | Lost:
        several = False
        while info is not None and info.get("_type") in ("playlist", "multi_video"):
            several = several or info.get("playlist_count") != 1
            info = next(filter(None, info.get("entries") or []), None)
        if info is None:
            return Lost(reason="no_video")
        by_pieces = info.get("protocol") == "http_dash_segments"
        url = info["manifest_url"] if by_pieces else info["url"]
        shown = [each for each in info.get("formats") or [] if each.get("vcodec") != "none"]
        try:
            return Found(
                url=url,
                headers=self._headers(url, info.get("http_headers") or {}),
                site=info["extractor_key"],
                height=info.get("height") or None,
                renditions=len(shown),
                several=several,
            )
        except ValidationError:
            return Lost(reason="failed")

    def _headers(self, url: str, wanted: dict[str, str]) -> dict[str, str]:
        kept = {name: value for name, value in wanted.items() if headers.of_media(name)}
        cookies = self._reader.cookiejar.get_cookie_header(url)
        return kept | ({"Cookie": cookies} if cookies else {})
