"""HTTP Live Streaming (RFC 8216): which pieces a playlist is made of."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Iterator
from typing import Any

from m3u8 import M3U8
from m3u8.model import InitializationSection, Key, Playlist, Segment
from m3u8.protocol import ext_x_map, ext_x_media, ext_x_media_sequence

from service.errors import OriginFailed, OverLimits
from service.sources.choice import LIVE_SECONDS, Choice, newest, rank
from service.sources.encryption import Lock
from service.sources.origin import Origin
from service.sources.pieces import MOST, Piece, Stream, too_many
from service.sources.url import Url

TEXT_BYTES = 2**20
"""Of one playlist."""
_PLAYLISTS = 4
"""Renditions that are looked at until one fits."""
_RENDITIONS = 200
_KEYS = 500
"""Of one playlist: each segment looks for its own among them."""
_LONGEST = 3600.0
"""Seconds of a segment that are believed."""
_RANGE = re.compile(r"(\d{1,15})(?:@(\d{1,15}))?")
_VECTOR = re.compile(r"0[xX]([0-9a-fA-F]{1,32})")
_HEAD_KEYS = "head_keys"
_VIDEO = ("avc", "hvc", "hev", "av01", "vp09", "dvh", "mp4v")


def is_playlist(head: bytes) -> bool:
    """Whether a file that begins so is one."""
    return head.removeprefix(b"\xef\xbb\xbf").startswith(b"#EXTM3U")


async def stream(origin: Origin, url: Url, text: bytes, largest: int) -> Stream:
    """The pieces of a playlist found at ``url``; of several renditions the best one whose announced
    rate fits ``largest`` bytes.

    Raises ``OriginFailed`` for what is no playlist, is encrypted otherwise than with AES-128 or
    leads to further lists, ``OverLimits``, and what fetching raises.
    """
    playlist = await _parsed(text)
    if not playlist.is_variant:
        return await asyncio.to_thread(_pieces, playlist, url)
    choice: Choice[Stream] = Choice(largest)
    for rendition in _ranked(playlist.playlists)[:_PLAYLISTS]:
        place = url.join(rendition.uri or "")
        async with origin.get(place) as answer:
            if answer.status != 200:
                raise OriginFailed(f"For a playlist the origin answers {answer.status}.")
            inner, place = await _parsed(await answer.body(TEXT_BYTES)), answer.url
        if inner.is_variant:
            raise OriginFailed("A playlist of renditions leads to another one.")
        offer = await asyncio.to_thread(_pieces, inner, place)
        if choice.settles(offer, offer.seconds, rendition.stream_info.bandwidth or 0):
            break
    if choice.best is None:
        raise OriginFailed("The playlist names no rendition with video.")
    return choice.best


async def _parsed(text: bytes) -> M3U8:
    if not is_playlist(text):
        raise _unreadable()
    try:
        content = text.decode("utf-8-sig")
        return await asyncio.to_thread(M3U8, content, custom_tags_parser=_look_at)
    except OverLimits:
        raise
    # It raises whatever its conversions raise.
    except Exception:
        raise _unreadable() from None


def _look_at(line: str, number: int, data: dict[str, Any], state: dict[str, Any]) -> bool:
    """Called before each tag is parsed; whether the parser is to leave it out."""
    # What it makes of them grows with the square of their number.
    if len(data["segments"]) > MOST:
        raise too_many()
    if len(data["keys"]) > _KEYS or len(data["playlists"]) > _RENDITIONS:
        raise OverLimits(
            f"A playlist may name at most {_KEYS} keys and {_RENDITIONS} renditions of a video."
        )
    if line.startswith(ext_x_map):
        # The parser forgets which key was in force where a head was named.
        data.setdefault(_HEAD_KEYS, []).append(state.get("current_key"))
    # Sound and subtitles, of which every rendition would get a list of its own.
    return line.startswith(ext_x_media) and not line.startswith(ext_x_media_sequence)


def _ranked(playlists: Iterable[Playlist]) -> list[Playlist]:
    """Those with video, best first."""

    def quality(each: Playlist) -> tuple[bool, int, int]:
        width, height = each.stream_info.resolution or (0, 0)
        return rank(width, height, each.stream_info.bandwidth or 0)

    def shows(each: Playlist) -> bool:
        codecs = (each.stream_info.codecs or "").lower()
        return bool(each.stream_info.resolution) or not codecs or any(c in codecs for c in _VIDEO)

    return sorted(filter(shows, playlists), key=quality, reverse=True)


def _pieces(playlist: M3U8, url: Url) -> Stream:
    segments = list(playlist.segments)
    if len(segments) > MOST:
        raise too_many()
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
    return Stream(tuple(_with_head(longest, url, playlist.data)), tuple(notes))


def _newest(run: list[Segment]) -> list[Segment]:
    """The window of a live stream."""
    return run[newest([_duration(each) for each in run], LIVE_SECONDS) :]


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


def _with_head(run: list[Segment], url: Url, data: dict[str, Any]) -> Iterator[Piece]:
    if not run:
        return
    section = run[0].init_section
    if section is not None:
        offset, length = _span(section.byterange, 0)
        lock = _lock(_key_of(section, data), url, None)
        yield Piece(url.join(section.uri or ""), 0.0, offset, length, lock)
    end, last = 0, None
    for segment in run:
        place = url.join(segment.uri or "")
        # A range without an offset goes on where the one before ended.
        offset, length = _span(segment.byterange, end if place == last else 0)
        end, last = offset + (length or 0), place
        lock = _lock(segment.key, url, segment.media_sequence)
        yield Piece(place, _duration(segment), offset, length, lock)


def _key_of(section: InitializationSection, data: dict[str, Any]) -> Key | None:
    """The key that was in force where a head was named first."""
    for named, key in zip(data["segment_map"], data[_HEAD_KEYS], strict=True):
        if (named.get("uri"), named.get("byterange")) == (section.uri, section.byterange):
            return Key(base_uri=None, **key) if key else None
    raise _unreadable()


def _lock(key: Key | None, url: Url, number: int | None) -> Lock | None:
    """Of segment ``number``, which stands in for a vector that is not given; of a head it must
    be."""
    if key is None or key.method == "NONE":
        return None
    if key.method != "AES-128" or (key.keyformat or "identity") != "identity":
        raise OriginFailed("The stream is encrypted in a way that is not read.")
    given = _VECTOR.fullmatch(key.iv or "")
    if given is None and (key.iv or number is None):
        raise _unreadable()
    vector = int(given[1], 16) if given else number or 0
    if not 0 <= vector < 2**128:
        raise _unreadable()
    return Lock(url.join(key.uri or ""), vector.to_bytes(16, "big"))


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
