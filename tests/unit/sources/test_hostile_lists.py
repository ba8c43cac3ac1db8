"""Playlists and manifests made to take long: few bytes must not keep the service from others."""

from __future__ import annotations

import threading
import tracemalloc

import pytest

from service.errors import OverLimits
from service.sources import dash, hls
from service.sources.origin import Origin
from service.sources.pieces import MOST, Stream
from service.sources.url import Url, parse

HERE = parse("http://example.org/videos/list")
NO_ORIGIN: Origin = None  # type: ignore[assignment]


def manifest(*sets: str) -> bytes:
    inside = "".join(f'<AdaptationSet contentType="video">{each}</AdaptationSet>' for each in sets)
    return (
        f'<MPD type="static" mediaPresentationDuration="PT9H"><Period>{inside}</Period></MPD>'
    ).encode()


def representation(rate: int, inside: str = "") -> str:
    return f'<Representation bandwidth="{rate}" width="640" height="360">{inside}</Representation>'


LONG = '<SegmentTemplate duration="8" media="{}$Number$"/>'
MANY = '<SegmentTemplate media="a"><SegmentTimeline>{}</SegmentTimeline></SegmentTemplate>'


@pytest.mark.parametrize(
    "text",
    [
        manifest("".join(map(representation, range(101)))),
        manifest(*[representation(each) for each in range(101)]),
        manifest(representation(1) + "<Label/>" * 1000),
        manifest(representation(1), *["<Label/>"] * 1000),
        manifest(representation(1, "<SegmentList>" + "<SegmentURL/>" * 6000 + "</SegmentList>")),
        manifest(representation(1, MANY.format('<S d="1"/>' * 6000))),
        manifest(representation(1, "<SegmentTemplate>" + "<A/>" * 6000 + "</SegmentTemplate>")),
    ],
)
async def test_manifests_of_very_many_elements_are_refused(text: bytes) -> None:
    with pytest.raises(OverLimits):
        await dash.stream(HERE, text, 10**9)


async def read_playlist(*lines: str) -> Stream:
    return await hls.stream(NO_ORIGIN, HERE, "\n".join(["#EXTM3U", *lines]).encode(), 10**9)


def segments(count: int) -> list[str]:
    return ["#EXTINF:4,", "a.ts"] * count


@pytest.mark.parametrize("kind", ["manifest", "playlist"])
async def test_pieces_are_made_beside_everything_else(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[threading.Thread] = []
    join = Url.join

    def noted(self: Url, reference: str) -> Url:
        seen.append(threading.current_thread())
        return join(self, reference)

    monkeypatch.setattr(Url, "join", noted)
    if kind == "manifest":
        await dash.stream(HERE, manifest(LONG.format("a") + representation(1)), 10**9)
    else:
        await read_playlist(*segments(9))
    assert seen
    assert threading.main_thread() not in seen


async def test_pieces_are_made_of_the_one_that_is_taken_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = 0
    join = Url.join

    def counted(self: Url, reference: str) -> Url:
        nonlocal made
        made += 1
        return join(self, reference)

    monkeypatch.setattr(Url, "join", counted)
    several = "".join(representation(10**6 + each) for each in range(50))
    found = await dash.stream(HERE, manifest(LONG.format("a") + several), 1)
    assert made == len(found.pieces) == 9 * 3600 // 8


async def test_sound_and_subtitles_of_a_playlist_are_left_alone() -> None:
    sound = '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="b",URI="c"'
    found = '#EXT-X-STREAM-INF:BANDWIDTH=1,AUDIO="a",VIDEO="a",SUBTITLES="a",CODECS="mp4a"\nd'
    text = "\n".join(["#EXTM3U", *[sound] * 8000, *[found] * 150]).encode()
    tracemalloc.start()
    try:
        playlist = await hls._parsed(text)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(playlist.playlists) == 150
    assert not playlist.media
    assert peak < 10 * len(text)


async def test_the_number_a_playlist_begins_with_is_no_such_line() -> None:
    playlist = await hls._parsed(
        "\n".join(["#EXTM3U", "#EXT-X-MEDIA-SEQUENCE:7", *segments(2)]).encode()
    )
    assert [each.media_sequence for each in playlist.segments] == [7, 8]


@pytest.mark.parametrize(
    "lines",
    [
        segments(MOST + 2),
        [f'#EXT-X-KEY:METHOD=AES-128,URI="{number}"' for number in range(600)],
        ["#EXT-X-STREAM-INF:BANDWIDTH=1", "a.m3u8"] * 250,
    ],
)
async def test_playlists_of_very_much_are_given_up_while_they_are_parsed(
    lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hls, "_pieces", None)
    monkeypatch.setattr(hls, "_ranked", None)
    with pytest.raises(OverLimits):
        await read_playlist(*lines)
