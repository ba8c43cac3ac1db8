"""MPEG-DASH (ISO/IEC 23009-1): which pieces a manifest is made of."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterator
from datetime import datetime
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from service.errors import OriginFailed, OverLimits
from service.sources.choice import LIVE_SECONDS, Choice, newest, rank
from service.sources.levels import Level, Segments, child_of, name_of
from service.sources.pieces import MOST, Piece, Stream, too_many
from service.sources.url import Url

TEXT_BYTES = 2**20
"""Of one manifest."""
_REPRESENTATIONS = 100
_LONGEST = 1e5
"""Seconds of a period that are believed."""
_DURATION = re.compile(
    r"P(?:(?P<d>\d{1,4})D)?(?:T(?:(?P<h>\d{1,5})H)?(?:(?P<m>\d{1,6})M)?(?:(?P<s>\d{1,8}(?:\.\d+)?)S)?)?"
)
_PLACE = re.compile(r"\$(RepresentationID|Number|Bandwidth|Time)?(?:%0(\d{1,2})d)?\$")
_RANGE = re.compile(r"(\d{1,15})-(\d{1,15})")


def is_manifest(head: bytes) -> bool:
    """Whether a file that begins so is one."""
    return head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"<") and b"<MPD" in head


async def stream(url: Url, text: bytes, largest: int, now: float | None = None) -> Stream:
    """The pieces of a manifest found at ``url``; of several representations the best one whose
    announced rate fits ``largest`` bytes. ``now`` is the time, in seconds since 1970.

    Raises ``OriginFailed`` for what is no manifest or is encrypted, ``OverLimits`` and
    ``UrlBlocked``.
    """
    # In a thread from first to last: a few kilobytes can name very many pieces.
    return await asyncio.to_thread(_read, url, text, largest, time.time() if now is None else now)


def _read(url: Url, text: bytes, largest: int, now: float) -> Stream:
    try:
        return _Manifest(fromstring(text, forbid_dtd=True), url, now).stream(largest)
    except (ParseError, DefusedXmlException, ValueError, ArithmeticError, LookupError):
        raise OriginFailed("The manifest cannot be read.") from None


class _Manifest:
    def __init__(self, root: Element, url: Url, now: float) -> None:
        if name_of(root) != "MPD":
            raise ValueError("not a manifest")
        self._root, self._top, self._now = root, Level((), url).down(root), now
        self._live = root.get("type") == "dynamic"

    def stream(self, largest: int) -> Stream:
        periods = [each for each in self._root if name_of(each) == "Period"]
        period = max(periods, key=self._seconds)
        notes = []
        if len(periods) > 1:
            notes.append(
                f"The stream has {len(periods)} parts; only the longest, of "
                f"{self._seconds(period):.0f} seconds, was looked at."
            )
        pieces = self._fitting(period, largest)
        if self._live:
            seconds = sum(piece.seconds for piece in pieces)
            notes.append(f"The stream is live: its last {seconds:.0f} seconds were looked at.")
        return Stream(pieces, tuple(notes))

    def _fitting(self, period: Element, largest: int) -> tuple[Piece, ...]:
        """Of the best representation that fits; where none does, of the smallest."""
        choice: Choice[Level] = Choice(largest)
        for level in self._ranked(self._top.down(period)):
            lasts = self._lasts(level, period)
            if choice.settles(level, lasts, int(level.attribute("bandwidth", "0"))):
                break
        if choice.best is None:
            raise OriginFailed("The manifest names no video.")
        return tuple(self._pieces(choice.best, period))

    def _ranked(self, period: Level) -> list[Level]:
        """Representations of video, best first."""
        levels: list[Level] = []
        for group in period.chain[-1]:
            if name_of(group) == "AdaptationSet":
                within = period.down(group)
                levels += [within.down(each) for each in group if name_of(each) == "Representation"]
                if len(levels) > _REPRESENTATIONS:
                    raise OverLimits(
                        f"A manifest may name at most {_REPRESENTATIONS} representations."
                    )
        videos = [level for level in levels if _shows(level)]
        above = {each for video in videos for each in video.chain}
        if any(child_of(each, "ContentProtection") is not None for each in above):
            raise OriginFailed("The stream is encrypted.")

        def quality(level: Level) -> tuple[bool, int, int]:
            names = ("width", "height", "bandwidth")
            return rank(*(int(level.attribute(name, "0")) for name in names))

        return sorted(videos, key=quality, reverse=True)

    def _seconds(self, period: Element) -> float:
        text = period.get("duration") or self._root.get("mediaPresentationDuration") or ""
        return _duration(text)

    def _lasts(self, level: Level, period: Element) -> float:
        """Seconds of all pieces, of which none is made for that."""
        template = level.segments("SegmentTemplate")
        listed = level.segments("SegmentList")
        if template is not None:
            lengths = (length for _, _, length in self._entries(template, period))
            return sum(lengths) / template.timescale
        if listed is not None:
            return len(listed.named) * listed.seconds
        return self._seconds(period)

    def _pieces(self, level: Level, period: Element) -> Iterator[Piece]:
        template = level.segments("SegmentTemplate")
        listed = level.segments("SegmentList")
        if template is not None:
            yield from self._templated(level, template, period)
        elif listed is not None:
            yield from _listed(level, listed)
        else:
            yield Piece(level.base, self._seconds(period))

    def _templated(self, level: Level, template: Segments, period: Element) -> Iterator[Piece]:
        head = template.attribute("initialization")
        if head:
            yield Piece(level.base.join(_filled(head, level, 0, 0)))
        media = template.attribute("media")
        for number, start, length in self._entries(template, period):
            place = level.base.join(_filled(media, level, number, start))
            yield Piece(place, length / template.timescale)

    def _entries(self, template: Segments, period: Element) -> list[tuple[int, int, int]]:
        """Number, start and length of the segments that are taken."""
        first = int(template.attribute("startNumber", "1"))
        timeline = template.child("SegmentTimeline")
        if timeline is not None:
            end = self._seconds(period) * template.timescale
            listed = enumerate(_timeline(timeline, end), first)
            entries = [(number, start, length) for number, (start, length) in listed]
        else:
            entries = list(self._numbered(template, first, period))
        if self._live:
            lengths = [length for _, _, length in entries]
            entries = entries[newest(lengths, LIVE_SECONDS * template.timescale) :]
        return entries

    def _numbered(
        self, template: Segments, first: int, period: Element
    ) -> Iterator[tuple[int, int, int]]:
        """Number, start and length of segments that are all equally long."""
        length = int(template.attribute("duration"))
        seconds = length / template.timescale
        if length <= 0:
            raise ValueError("segments without length")
        if self._live:
            begun = datetime.fromisoformat(self._root.get("availabilityStartTime") or "")
            elapsed = self._now - begun.timestamp() - _duration(period.get("start") or "")
            # The last one that is complete, and one more for the origin's sake.
            last = int(elapsed / seconds) - 2
            count = min(last + 1, max(1, int(LIVE_SECONDS / seconds)))
            places = range(max(0, last + 1 - count), last + 1)
        else:
            places = range(-int(-self._seconds(period) // seconds))
        if len(places) > MOST:
            raise too_many()
        for place in places:
            yield first + place, place * length, length


def _timeline(timeline: Element, end: float) -> Iterator[tuple[int, int]]:
    """Start and length of each segment."""
    at = count = 0
    entries = [each for each in timeline if name_of(each) == "S"]
    for place, entry in enumerate(entries):
        at = int(entry.get("t") or at)
        length, repeat = int(entry.get("d") or 0), int(entry.get("r") or 0)
        if length <= 0:
            raise ValueError("a segment without length")
        if repeat < 0:
            # Up to the next one, or to the end.
            later = entries[place + 1].get("t") if place + 1 < len(entries) else None
            repeat = max(0, int(((float(later) if later else end) - at) / length + 0.5) - 1)
        count += repeat + 1
        if count > MOST:
            raise too_many()
        for _ in range(repeat + 1):
            yield at, length
            at += length


def _listed(level: Level, listed: Segments) -> Iterator[Piece]:
    head = listed.child("Initialization")
    if head is not None:
        yield _ranged(level, head.get("sourceURL"), head.get("range"), 0.0)
    for each in listed.named:
        yield _ranged(level, each.get("media"), each.get("mediaRange"), listed.seconds)


def _ranged(level: Level, reference: str | None, span: str | None, seconds: float) -> Piece:
    place = level.base.join(reference) if reference else level.base
    if span is None:
        return Piece(place, seconds)
    match = _RANGE.fullmatch(span)
    if match is None or int(match[2]) < int(match[1]):
        raise ValueError("no range")
    return Piece(place, seconds, int(match[1]), int(match[2]) - int(match[1]) + 1)


def _filled(template: str, level: Level, number: int, start: int) -> str:
    values: dict[str, str | int] = {
        "RepresentationID": level.chain[-1].get("id") or "",
        "Bandwidth": int(level.attribute("bandwidth", "0")),
        "Number": number,
        "Time": start,
    }

    def value(match: re.Match[str]) -> str:
        if match[1] is None:
            return "$"
        found = values[match[1]]
        return f"{found:0{int(match[2] or 1)}d}" if isinstance(found, int) else found

    return _PLACE.sub(value, template)


def _shows(level: Level) -> bool:
    kind = level.attribute("contentType") or level.attribute("mimeType")
    return kind.startswith("video") or bool(level.attribute("width"))


def _duration(text: str) -> float:
    """Seconds of an ISO 8601 duration; 0 where there is none."""
    match = _DURATION.fullmatch(text)
    if match is None:
        return 0.0
    parts = {name: float(value or 0) for name, value in match.groupdict().items()}
    seconds = parts["d"] * 86400 + parts["h"] * 3600 + parts["m"] * 60 + parts["s"]
    return min(seconds, _LONGEST)
