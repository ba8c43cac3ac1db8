"""Pieces of a stream are taken only where they are what was asked for."""

from __future__ import annotations

import pytest

from service.errors import OriginFailed, TooLarge
from service.settings import FetchSettings
from service.sources.remote import BLOCK, Fetcher
from tests.security.raw_origin import raw_origin, response
from tests.unit.sources.sites import everything

PART = "#EXTM3U\n#EXTINF:4,\n#EXT-X-BYTERANGE:5@3\na\n#EXTINF:4,\nb\n#EXT-X-ENDLIST\n"
RIGHT = {"Content_Range": "bytes 3-7/9"}
HONEST = {
    "/list": response(200, PART.encode()),
    "/a bytes=3-7": response(206, b"12345", **RIGHT),
    "/b": response(200, b"67"),
}


async def fetched(answers: dict[str, bytes], largest: int = 100) -> tuple[bytes, list[int]]:
    held: list[int] = []
    async with raw_origin(answers) as place:
        port = int(place.rpartition(":")[2])
        settings = FetchSettings(ports=[port], loopback=True)
        fetch = Fetcher(settings, largest)
        async with fetch.open(fetch.checked(f"{place}/list"), held.append) as source:
            return await everything(source), held


async def test_honest_pieces_are_joined_and_counted() -> None:
    data, held = await fetched(HONEST)
    assert data == b"1234567"
    # The list itself was held as well.
    assert sum(held) == len(PART) + len(data)


@pytest.mark.parametrize(
    "answer",
    [
        response(206, b"123456", **RIGHT),
        response(206, b"1234", **RIGHT),
        response(206, b"", **RIGHT),
        response(206, b"12345", Content_Range="bytes 4-8/9"),
        response(206, b"12345", Content_Range="bytes 3-8/9"),
        response(206, b"12345", Content_Range="bytes 3-7/*"),
        response(206, b"12345"),
        response(200, b"12345", **RIGHT),
        response(404, b"12345", **RIGHT),
        response(206, b"12345", Content_Encoding="gzip", **RIGHT),
        response(206, b"12345", Content_Encoding="br", **RIGHT),
    ],
    ids=range(11),
)
async def test_a_part_that_is_another_is_refused(answer: bytes) -> None:
    with pytest.raises(OriginFailed):
        await fetched(HONEST | {"/a bytes=3-7": answer})


@pytest.mark.parametrize(
    "answer",
    [
        response(206, b"67", Content_Range="bytes 0-1/2"),
        response(404, b"67"),
        response(500, b"67"),
        response(203, b"67"),
        response(200, b"67", Content_Encoding="gzip"),
    ],
    ids=range(5),
)
async def test_a_whole_piece_that_is_none_is_refused(answer: bytes) -> None:
    with pytest.raises(OriginFailed):
        await fetched(HONEST | {"/b": answer})


async def test_all_pieces_together_are_bounded() -> None:
    assert (await fetched(HONEST, largest=len(PART)))[0] == b"1234567"
    with pytest.raises(TooLarge):
        await fetched(HONEST | {"/b": response(200, b"6" * len(PART))}, largest=len(PART))


SIZE = BLOCK + 5
SECOND = f"/list bytes={BLOCK}-{SIZE - 1}"
REST = {"Content_Range": f"bytes {BLOCK}-{SIZE - 1}/{SIZE}"}
FILE = {
    f"/list bytes=0-{BLOCK - 1}": response(
        206, bytes(BLOCK), Content_Range=f"bytes 0-{BLOCK - 1}/{SIZE}"
    ),
    SECOND: response(206, b"12345", **REST),
}


async def test_parts_of_a_file_are_joined() -> None:
    data, held = await fetched(FILE)
    assert data == bytes(BLOCK) + b"12345"
    assert sum(held) <= 16 * BLOCK


@pytest.mark.parametrize(
    "answer",
    [
        response(206, b"12345", Content_Encoding="gzip", **REST),
        response(206, b"12345", Content_Encoding="br", **REST),
        response(206, b"123456", **REST),
        response(206, b"1234", **REST),
        response(200, b"12345", **REST),
        response(416, b"12345", **REST),
        response(206, b"12345", Content_Range=f"bytes {BLOCK}-{SIZE - 1}/*"),
        response(206, b"12345", ETag='"new"', **REST),
        response(206, b"12345", ETag='"one"\r\nETag: "two"', **REST),
    ],
    ids=range(9),
)
async def test_a_later_part_that_is_another_is_refused(answer: bytes) -> None:
    with pytest.raises(OriginFailed):
        await fetched(FILE | {SECOND: answer})


async def test_a_head_that_contradicts_itself_is_refused() -> None:
    first = response(206, b"12345", ETag='"one"\r\nETag: "two"', Content_Range="bytes 0-4/5")
    with pytest.raises(OriginFailed):
        await fetched({"/list": first})
    same = first.replace(b"two", b"one")
    assert (await fetched({"/list": same}))[0] == b"12345"
