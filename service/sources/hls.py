"""HTTP Live Streaming (RFC 8216): which pieces a playlist is made of."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Iterator

from m3u8 import M3U8
from m3u8.model import InitializationSection, Playlist, Segment

from service.errors import OriginFailed, OverLimits
from service.sources.origin import Origin
from service.sources.pieces import MOST, Piece, Stream
from service.sources.url import Url

TEXT_BYTES = 2**20
"""Of one playlist."""
_PLAYLISTS = 4
"""Renditions that are looked at until one fits."""
LIVE_SECONDS = 60.0
"""The window of a live stream that is taken: the newest."""
_PIXELS = 1920 * 1088
"""Renditions with more are taken only where there are no others."""
_LONGEST = 3600.0
"""Seconds of a segment that are believed."""
_RANGE = re.compile(r"(\d{1,15})(?:@(\d{1,15}))?")
_VIDEO = ("avc", "hvc", "hev", "av01", "vp09", "dvh", "mp4v")


def is_playlist(head: bytes) -> bool:
    """Whether a file that begins so is one."""
    return head.removeprefix(b"\xef\xbb\xbf").startswith(b"#EXTM3U")


async def stream(origin: Origin, url: Url, text: bytes, largest: int) -> Stream:
    """The pieces of a playlist found at ``url``; of several renditions the best one whose announced
    rate fits ``largest`` bytes.

    Raises ``OriginFailed`` for what is no playlist, is encrypted or leads to further lists,
    ``OverLimits``, and what fetching raises.
    """
    playlist = await _parsed(text)
    if not playlist.is_variant:
        return _pieces(playlist, url)
    fallback = None
    for rendition in _ranked(playlist.playlists)[:_PLAYLISTS]:
        place = url.join(rendition.uri or "")
        async with origin.get(place) as answer:
            if answer.status != 200:
                raise OriginFailed(f"For a playlist the origin answers {answer.status}.")
            inner, place = await _parsed(await answer.body(TEXT_BYTES)), answer.url
        if inner.is_variant:
            raise OriginFailed("A playlist of renditions leads to another one.")
        found = _pieces(inner, place)
        size = found.seconds * (rendition.stream_info.bandwidth or 0) / 8
        if size <= largest:
            return found
        if fallback is None or size < fallback[0]:
            fallback = size, found
    if fallback is None:
        raise OriginFailed("The playlist names no rendition with video.")
    return fallback[1]


async def _parsed(text: bytes) -> M3U8:
    if not is_playlist(text):
        raise _unreadable()
    try:
        return await asyncio.to_thread(M3U8, text.decode("utf-8-sig"))
    # It raises whatever its conversions raise.
    except Exception:
        raise _unreadable() from None


def _ranked(playlists: Iterable[Playlist]) -> list[Playlist]:
    """Those with video, best first."""

    def rank(each: Playlist) -> tuple[bool, int, int]:
        width, height = each.stream_info.resolution or (0, 0)
        pixels = width * height
        fits = pixels <= _PIXELS
        return fits, pixels if fits else -pixels, each.stream_info.bandwidth or 0

    def shows(each: Playlist) -> bool:
        codecs = (each.stream_info.codecs or "").lower()
        return bool(each.stream_info.resolution) or not codecs or any(c in codecs for c in _VIDEO)

    return sorted(filter(shows, playlists), key=rank, reverse=True)


def _pieces(playlist: M3U8, url: Url) -> Stream:
    segments = list(playlist.segments)
    if len(segments) > MOST:
        raise OverLimits(f"A video may come in at most {MOST} pieces.")
    if any(each.key is not None and each.key.method != "NONE" for each in segments):
        raise OriginFailed("The stream is encrypted.")
    notes = []
    runs = list(_runs(segments))
    longest = max(runs, key=_seconds, default=[])
    if len(runs) > 1:
        notes.append(
            f"The stream is cut into {len(runs)} parts that do not go on from each other; only the "
            f"longest, of {_seconds(longest):.0f} seconds, was looked at."
        )
    if not playlist.is_endlist:
        whole, longest = _seconds(longest), _newest(longest)
        notes.append(
            f"The stream is live: its last {_seconds(longest):.0f} of {whole:.0f} seconds were "
            "looked at."
        )
    return Stream(tuple(_with_head(longest, url)), tuple(notes))


def _newest(run: list[Segment]) -> list[Segment]:
    """The window of a live stream."""
    start, seconds = len(run), 0.0
    while start and (start == len(run) or seconds + _duration(run[start - 1]) <= LIVE_SECONDS):
        start -= 1
        seconds += _duration(run[start])
    return run[start:]


def _runs(segments: Iterable[Segment]) -> Iterator[list[Segment]]:
    """Segments that can be joined: without a break, and with one head."""
    run: list[Segment] = []
    for segment in segments:
        if run and (segment.discontinuity or _head(segment) != _head(run[-1])):
            yield run
            run = []
        run.append(segment)
    if run:
        yield run


def _head(segment: Segment) -> tuple[str | None, str | None] | None:
    section: InitializationSection | None = segment.init_section
    return None if section is None else (section.uri, section.byterange)


def _with_head(run: list[Segment], url: Url) -> Iterator[Piece]:
    if not run:
        return
    section = run[0].init_section
    if section is not None:
        offset, length = _span(section.byterange, 0)
        yield Piece(url.join(section.uri or ""), 0.0, offset, length)
    end, last = 0, None
    for segment in run:
        place = url.join(segment.uri or "")
        # A range without an offset goes on where the one before ended.
        offset, length = _span(segment.byterange, end if place == last else 0)
        end, last = offset + (length or 0), place
        yield Piece(place, _duration(segment), offset, length)


def _span(text: str | None, following: int) -> tuple[int, int | None]:
    """Offset and length of a byte range; (0, None) where there is none."""
    if text is None:
        return 0, None
    match = _RANGE.fullmatch(text.strip('"'))
    if match is None or not int(match[1]):
        raise _unreadable()
    return int(match[2]) if match[2] else following, int(match[1])


def _seconds(segments: Iterable[Segment]) -> float:
    return sum(map(_duration, segments))


def _duration(segment: Segment) -> float:
    seconds = float(segment.duration or 0)
    return seconds if 0 <= seconds <= _LONGEST else 0.0


def _unreadable() -> OriginFailed:
    return OriginFailed("The playlist cannot be read.")
