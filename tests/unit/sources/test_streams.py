"""Playlists and manifests, from the test site."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from service.errors import OriginFailed, OverLimits, PageUrl, ServiceError, TooLarge, UrlBlocked
from service.sources import dash, hls
from service.sources.pieces import MOST
from service.sources.source import Source
from service.sources.url import parse
from tests.origin.running import RunningSite, running_site
from tests.unit.sources.sites import everything, fetcher

HERE = parse("http://example.org/videos/list")
PIECES = {f"{number}.ts": bytes([number]) * (100 + number) for number in range(8)}
WHOLE = b"".join(PIECES.values())


@pytest.fixture(scope="module")
def site() -> Iterator[RunningSite]:
    with running_site() as running:
        for name, data in PIECES.items():
            running.put(data, name)
        running.put(b"HEAD", "head.mp4")
        running.put(WHOLE, "all.ts")
        yield running


async def fetched(
    site: RunningSite, text: str | bytes, *, largest: int = 10**6, behaviour: str = "whole"
) -> tuple[bytes, Source]:
    site.put(text.encode() if isinstance(text, str) else text, "list")
    fetch = fetcher(site, largest)
    async with fetch.open(fetch.checked(site.url(behaviour, "list"))) as source:
        return await everything(source), source


def media_playlist(*lines: str, end: bool = True) -> str:
    head = ["#EXTM3U", "#EXT-X-VERSION:7", "#EXT-X-TARGETDURATION:4", *lines]
    return "\n".join([*head, "#EXT-X-ENDLIST"] if end else head) + "\n"


def segments(numbers: range, seconds: float = 4) -> list[str]:
    return [line for n in numbers for line in (f"#EXTINF:{seconds},", f"{n}.ts")]


async def test_the_pieces_of_a_playlist_are_joined(site: RunningSite) -> None:
    data, source = await fetched(site, media_playlist(*segments(range(8))))
    assert data == WHOLE
    assert source.notes == ()


async def test_a_head_and_byte_ranges_are_fetched(site: RunningSite) -> None:
    text = media_playlist(
        '#EXT-X-MAP:URI="head.mp4"',
        *("#EXTINF:4,", "#EXT-X-BYTERANGE:100@0", "../ranges/all.ts"),
        *("#EXTINF:4,", "#EXT-X-BYTERANGE:101", "../ranges/all.ts"),
        *("#EXTINF:4,", "#EXT-X-BYTERANGE:10@300", "../ranges/all.ts"),
    )
    data, _ = await fetched(site, text)
    assert data == b"HEAD" + WHOLE[:201] + WHOLE[300:310]


async def test_of_several_renditions_the_best_that_fits_is_taken(site: RunningSite) -> None:
    for name, number, seconds in (("low", 0, 4), ("high", 1, 4), ("huge", 2, 4), ("sound", 3, 4)):
        playlist = media_playlist(*segments(range(number, number + 1), seconds))
        site.put(playlist.encode(), f"{name}.m3u8")
    master = """#EXTM3U
#EXT-X-STREAM-INF:BANDWIDTH=64000,CODECS="mp4a.40.2"
sound.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=100000,RESOLUTION=640x360
low.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=9000000,RESOLUTION=3840x2160
huge.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=400000,RESOLUTION=1920x1080,CODECS="avc1.640028,mp4a.40.2"
high.m3u8
"""
    assert (await fetched(site, master, largest=200_000))[0] == PIECES["1.ts"]
    assert (await fetched(site, master, largest=100_000))[0] == PIECES["0.ts"]


async def test_of_a_live_stream_the_newest_minute_is_taken(site: RunningSite) -> None:
    data, source = await fetched(site, media_playlist(*segments(range(8), 20), end=False))
    assert data == WHOLE[-len(b"".join(list(PIECES.values())[5:])) :]
    assert source.notes == ("The stream is live: its last 60 of 160 seconds were looked at.",)


async def test_of_a_stream_with_breaks_the_longest_part_is_taken(site: RunningSite) -> None:
    lines = [*segments(range(1)), "#EXT-X-DISCONTINUITY", *segments(range(1, 4))]
    text = media_playlist(*lines, "#EXT-X-DISCONTINUITY", *segments(range(4, 6)))
    data, source = await fetched(site, text)
    assert data == b"".join(list(PIECES.values())[1:4])
    assert "3 parts" in source.notes[0]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("#EXTM3U\n", OriginFailed),
        ("#EXTM3U\n#EXTINF:abc,\n0.ts\n", OriginFailed),
        (b"#EXTM3U\n\xff\xfe\n", OriginFailed),
        (media_playlist("#EXTINF:4,", "missing.ts"), OriginFailed),
        (media_playlist("#EXTINF:4,", "file:///etc/passwd"), UrlBlocked),
        (media_playlist("#EXTINF:4,", "http://169.254.169.254/a.ts"), UrlBlocked),
        (media_playlist("#EXTINF:4,", "http://127.0.0.1:1/a.ts"), UrlBlocked),
        (media_playlist("#EXTINF:4,", "data:video/mp2t;base64,AAAA"), UrlBlocked),
        (media_playlist("#EXTINF:4,", "concat:0.ts|1.ts"), UrlBlocked),
        (media_playlist("#EXTINF:4,", "subfile,,start,0,end,9,,:/etc/passwd"), OriginFailed),
        (media_playlist('#EXT-X-MAP:URI="file:///etc/passwd"', *segments(range(1))), UrlBlocked),
        (media_playlist(*segments(range(1)) * 10_000), OverLimits),
        (media_playlist("#EXTINF:4,", "#EXT-X-BYTERANGE:9@1000000", "0.ts"), OriginFailed),
        (media_playlist("#EXTINF:4,", "#EXT-X-BYTERANGE:0@0", "0.ts"), OriginFailed),
        (media_playlist("#EXTINF:4,", "#EXT-X-BYTERANGE:x", "0.ts"), OriginFailed),
        (
            media_playlist('#EXT-X-KEY:METHOD=AES-128,URI="key"', *segments(range(2))),
            OriginFailed,
        ),
        ("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1,RESOLUTION=1x1\nlist\n", OriginFailed),
        ("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1,RESOLUTION=1x1\nmissing.m3u8\n", OriginFailed),
        ("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1,RESOLUTION=1x1\n0.ts\n", OriginFailed),
        ("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1,CODECS=\"mp4a\"\na.m3u8\n", OriginFailed),
        ("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nhttp://10.0.0.1/a.m3u8\n", UrlBlocked),
        ("<!DOCTYPE html><html><video src=a.mp4></html>", PageUrl),
        (" \n<HTML>", PageUrl),
        ("<?xml version='1.0'?><html xmlns='a'/>", PageUrl),
        ("<MPD>", OriginFailed),
        ("<MPD></MPD>", OriginFailed),
        ("<MPD><Period/></MPD>", OriginFailed),
        ('<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><MPD>&b;</MPD>', OriginFailed),
    ],
)  # fmt: skip
async def test_hostile_lists_are_refused(
    site: RunningSite, text: str | bytes, error: type[ServiceError]
) -> None:
    with pytest.raises(error):
        await fetched(site, text)


async def test_a_list_too_long_is_refused(site: RunningSite) -> None:
    with pytest.raises(OriginFailed):
        await fetched(site, "#EXTM3U\n" + "#" * 2**20, largest=2**22)


async def test_a_playlist_of_itself_is_bounded(site: RunningSite) -> None:
    data, _ = await fetched(site, media_playlist(*["#EXTINF:4,", "list"] * 50))
    assert data.startswith(b"#EXTM3U")
    with pytest.raises(TooLarge):
        await fetched(site, media_playlist(*["#EXTINF:4,", "list"] * 50), largest=5000)


async def test_pieces_that_never_end_are_bounded(site: RunningSite) -> None:
    with pytest.raises(TooLarge):
        await fetched(site, media_playlist("#EXTINF:4,", "../endless/a"), largest=2**20)


async def test_the_time_for_all_pieces_is_bounded(site: RunningSite) -> None:
    site.put(media_playlist(*["#EXTINF:4,", "../dripping/all.ts"] * 9).encode(), "list")
    fetch = fetcher(site, seconds=1.0)
    began = time.monotonic()
    with pytest.raises(ServiceError) as raised:
        async with fetch.open(fetch.checked(site.url("whole", "list"))):
            pass
    assert raised.value.code == "origin_slow"
    assert time.monotonic() - began < 2


def manifest(inside: str, attributes: str = 'mediaPresentationDuration="PT32S"') -> str:
    return f"""<?xml version="1.0"?>
<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" {attributes}><Period>
<AdaptationSet contentType="audio"><Representation id="a" bandwidth="9"/></AdaptationSet>
<AdaptationSet contentType="video">{inside}</AdaptationSet></Period></MPD>"""


TEMPLATE = (
    '<SegmentTemplate timescale="10" initialization="head.mp4" media="{}" {}>{}</SegmentTemplate>'
)
ONE = '<Representation id="0" bandwidth="100" width="64" height="64"/>'


@pytest.mark.parametrize(
    ("inside", "expected"),
    [
        (
            TEMPLATE.format("$Number$.ts", 'duration="40" startNumber="0"', "") + ONE,
            b"HEAD" + WHOLE,
        ),
        (
            TEMPLATE.format(
                "$Number%01d$.ts",
                'startNumber="2"',
                '<SegmentTimeline><S t="0" d="40" r="1"/><S d="30"/></SegmentTimeline>',
            ) + ONE,
            b"HEAD" + b"".join(list(PIECES.values())[2:5]),
        ),
        (
            TEMPLATE.format(
                "$Time$.ts", "", '<SegmentTimeline><S t="1" d="1" r="2"/></SegmentTimeline>'
            ) + ONE,
            b"HEAD" + b"".join(list(PIECES.values())[1:4]),
        ),
        (
            '<Representation id="3" bandwidth="1" width="9"><SegmentTemplate duration="40" '
            'media="$RepresentationID$.ts" timescale="10"/></Representation>',
            PIECES["3.ts"] * 8,
        ),
        (
            '<Representation id="0" bandwidth="100"><SegmentList duration="4"><Initialization '
            'sourceURL="head.mp4"/><SegmentURL media="1.ts"/><SegmentURL media="../ranges/all.ts" '
            'mediaRange="5-9"/></SegmentList></Representation>',
            b"HEAD" + PIECES["1.ts"] + WHOLE[5:10],
        ),
        (
            '<Representation id="0" bandwidth="100"><BaseURL>../ranges/all.ts</BaseURL>'
            '<SegmentBase indexRange="0-9"/></Representation>',
            WHOLE,
        ),
    ],
)  # fmt: skip
async def test_the_pieces_of_a_manifest_are_joined(
    site: RunningSite, inside: str, expected: bytes
) -> None:
    data, source = await fetched(site, manifest(inside))
    assert data == expected
    assert source.notes == ()


async def test_of_several_representations_the_best_that_fits_is_taken() -> None:
    each = '<Representation id="{}" bandwidth="{}" width="{}" height="{}"/>'
    several = [("low", 8000, 640, 360), ("high", 80000, 1920, 1080), ("huge", 10**6, 3840, 2160)]
    template = '<SegmentTemplate media="$RepresentationID$" duration="32"/>'
    text = manifest(template + "".join(each.format(*one) for one in several)).encode()
    for largest, name in ((10**9, "high"), (10**5, "low"), (1, "low")):
        found = await dash.stream(HERE, text, largest)
        assert [str(piece.url) for piece in found.pieces] == [f"http://example.org/videos/{name}"]


async def test_of_a_live_manifest_the_newest_minute_is_taken() -> None:
    template = '<SegmentTemplate media="$Number$" timescale="10" duration="100"/>' + ONE
    begun = "2026-01-01T00:00:00Z"
    attributes = f'availabilityStartTime="{begun}"'
    text = manifest(template, attributes).replace("static", "dynamic").encode()
    found = await dash.stream(HERE, text, 10**9, now=1767225600 + 1000)
    assert [piece.url.target for piece in found.pieces] == [
        f"/videos/{number}" for number in range(94, 100)
    ]
    assert found.notes == ("The stream is live: its last 60 seconds were looked at.",)


@pytest.mark.parametrize(
    "inside",
    [
        '<ContentProtection schemeIdUri="a"/>' + ONE,
        TEMPLATE.format("a", 'duration="0"', "") + ONE,
        TEMPLATE.format("a", 'duration="x"', "") + ONE,
        TEMPLATE.format("a", "", '<SegmentTimeline><S d="0"/></SegmentTimeline>') + ONE,
        TEMPLATE.replace("10", "x").format("a", 'duration="1"', "") + ONE,
        "",
    ],
)
async def test_manifests_that_make_no_sense_are_refused(inside: str) -> None:
    with pytest.raises(OriginFailed):
        await dash.stream(HERE, manifest(inside).encode(), 10**9)


@pytest.mark.parametrize(
    "inside",
    [
        TEMPLATE.format("a", 'duration="1"', "") + ONE,
        TEMPLATE.format("a", "", '<SegmentTimeline><S d="1" r="999999999"/></SegmentTimeline>')
        + ONE,
        TEMPLATE.format("a", "", '<SegmentTimeline><S d="1" r="-1"/></SegmentTimeline>') + ONE,
    ],
)
async def test_manifests_of_too_many_pieces_are_refused(inside: str) -> None:
    text = manifest(inside, 'mediaPresentationDuration="PT9H"').encode()
    with pytest.raises(OverLimits):
        await dash.stream(HERE, text, 10**9)


async def test_long_lists_are_read_quickly() -> None:
    text = media_playlist(*segments(range(1)) * MOST, end=False).encode()
    began = time.process_time()
    found = await hls.stream(None, HERE, text, 10**9)  # type: ignore[arg-type]
    assert len(found.pieces) == 15
    assert time.process_time() - began < 5
