"""Segments encrypted with AES-128, from the test site."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from service.errors import OriginFailed, OverLimits, ServiceError, UrlBlocked
from service.settings import FetchSettings
from service.sources.remote import Fetcher
from service.sources.source import Memory
from tests.origin.running import RunningSite, running_site
from tests.security.raw_origin import raw_origin, response
from tests.unit.sources.sites import everything, fetcher

KEYS = {"key": bytes(range(16)), "key2": bytes(range(100, 116))}
VECTOR = bytes(range(50, 66))
PLAIN = [bytes([number]) * length for number, length in enumerate([1000, 16, 31, 70_000])]
HEAD = b"HEAD of a fragmented file"


def encrypted(plain: bytes, vector: bytes | int, key: str = "key") -> bytes:
    """AES-128-CBC; a number stands for its 16 bytes."""
    start = vector.to_bytes(16, "big") if isinstance(vector, int) else vector
    missing = 16 - len(plain) % 16
    encryptor = Cipher(AES(KEYS[key]), CBC(start)).encryptor()
    return encryptor.update(plain + bytes([missing]) * missing) + encryptor.finalize()


@pytest.fixture(scope="module")
def site() -> Iterator[RunningSite]:
    with running_site() as running:
        for name, key in KEYS.items():
            running.put(key, name)
        for number, plain in enumerate(PLAIN):
            running.put(plain, f"{number}.ts")
            running.put(encrypted(plain, VECTOR), f"{number}.iv")
            running.put(encrypted(plain, 7 + number), f"{number}.seq")
            running.put(encrypted(plain, 7 + number, "key2"), f"{number}.seq2")
        running.put(HEAD, "head")
        running.put(encrypted(HEAD, VECTOR), "head.iv")
        running.put(encrypted(PLAIN[0], VECTOR) + encrypted(PLAIN[1], VECTOR), "all.iv")
        running.put(KEYS["key"][:15], "key15")
        running.put(KEYS["key"] + b"1", "key17")
        running.put(b"", "key0")
        running.put(KEYS["key"].hex().encode(), "keyhex")
        running.put(encrypted(PLAIN[0], VECTOR)[:-3], "cut.iv")
        running.put(encrypted(PLAIN[0], VECTOR)[:-16], "short.iv")
        running.put(b"", "empty.iv")
        yield running


GIVEN = f'#EXT-X-KEY:METHOD=AES-128,URI="key",IV=0x{VECTOR.hex()}'
COUNTED = '#EXT-X-KEY:METHOD=AES-128,URI="key"'
NONE = "#EXT-X-KEY:METHOD=NONE"
MAP = '#EXT-X-MAP:URI="{}"'


def playlist(*lines: str, sequence: str = "7") -> bytes:
    """Names of files become segments."""
    made = ["#EXTM3U", f"#EXT-X-MEDIA-SEQUENCE:{sequence}"]
    for line in lines:
        made += [line] if line.startswith("#") else ["#EXTINF:4,", line]
    return "\n".join([*made, "#EXT-X-ENDLIST"]).encode()


async def fetched(site: RunningSite, text: bytes) -> bytes:
    site.put(text, "list")
    fetch = fetcher(site)
    async with fetch.open(fetch.checked(site.url("whole", "list"))) as source:
        assert isinstance(source, Memory)
        return await everything(source)


@pytest.mark.parametrize(
    ("lines", "plain"),
    [
        ([GIVEN, "0.iv", "1.iv", "2.iv", "3.iv"], PLAIN),
        ([COUNTED, "0.seq", "1.seq", "2.seq", "3.seq"], PLAIN),
        ([GIVEN.replace("0x", "0X"), "3.iv"], PLAIN[3:]),
        ([GIVEN.replace("IV", 'KEYFORMAT="identity",IV'), "0.iv"], PLAIN[:1]),
        ([COUNTED, "0.seq", COUNTED.replace("key", "key2"), "1.seq2", GIVEN, "2.iv"], PLAIN[:3]),
        ([GIVEN, "0.iv", NONE, "1.ts"], PLAIN[:2]),
        (["0.ts", COUNTED, "1.seq"], PLAIN[:2]),
        ([GIVEN, MAP.format("head.iv"), "0.iv", "1.iv"], [HEAD, *PLAIN[:2]]),
        ([MAP.format("head"), GIVEN, "0.iv"], [HEAD, *PLAIN[:1]]),
        ([GIVEN, MAP.format("head.iv"), NONE, "0.ts"], [HEAD, *PLAIN[:1]]),
        ([NONE, MAP.format("head"), COUNTED, "0.seq"], [HEAD, *PLAIN[:1]]),
        (
            [GIVEN, "#EXT-X-BYTERANGE:1008@0", "../ranges/all.iv",
             "#EXT-X-BYTERANGE:32", "../ranges/all.iv"],
            PLAIN[:2],
        ),
    ],
)  # fmt: skip
async def test_segments_are_decrypted_each_on_its_own(
    site: RunningSite, lines: list[str], plain: list[bytes]
) -> None:
    assert await fetched(site, playlist(*lines)) == b"".join(plain)


async def test_a_key_is_fetched_once_while_it_stays(site: RunningSite) -> None:
    before = len(site.log())
    await fetched(site, playlist(GIVEN, "0.iv", "1.iv", "2.iv"))
    asked = [str(each["target"]) for each in site.log()[before:]]
    assert asked.count("/whole/key") == 1


async def test_keys_that_take_turns_are_fetched_once_each(site: RunningSite) -> None:
    before = len(site.log())
    other = COUNTED.replace("key", "key2")
    await fetched(site, playlist(COUNTED, "0.seq", other, "1.seq2", COUNTED, "2.seq"))
    asked = [str(each["target"]) for each in site.log()[before:]]
    assert (asked.count("/whole/key"), asked.count("/whole/key2")) == (1, 1)


async def test_keys_are_not_fetched_for_ever(
    site: RunningSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.sources.encryption._KEPT", 1)
    monkeypatch.setattr("service.sources.encryption._FETCHED", 2)
    other = COUNTED.replace("key", "key2")
    assert await fetched(site, playlist(COUNTED, "0.seq", other, "1.seq2")) == PLAIN[0] + PLAIN[1]
    with pytest.raises(OverLimits):
        await fetched(site, playlist(COUNTED, "0.seq", other, "1.seq2", COUNTED, "2.seq"))


@pytest.mark.parametrize(
    ("lines", "error"),
    [
        ([GIVEN.replace("AES-128", "SAMPLE-AES"), "0.iv"], OriginFailed),
        ([GIVEN.replace("AES-128", "SAMPLE-AES-CTR"), "0.iv"], OriginFailed),
        ([GIVEN.replace("AES-128", "AES-256"), "0.iv"], OriginFailed),
        ([GIVEN + ',KEYFORMAT="com.apple.streamingkeydelivery"', "0.iv"], OriginFailed),
        ([GIVEN.replace('"key"', '"key15"'), "0.iv"], OriginFailed),
        ([GIVEN.replace('"key"', '"key17"'), "0.iv"], OriginFailed),
        ([GIVEN.replace('"key"', '"key0"'), "0.iv"], OriginFailed),
        ([GIVEN.replace('"key"', '"keyhex"'), "0.iv"], OriginFailed),
        ([GIVEN.replace('"key"', '"nokey"'), "0.iv"], OriginFailed),
        ([GIVEN.replace('"key"', '"../endless/key"'), "0.iv"], OriginFailed),
        ([GIVEN.replace('"key"', '"../loop/key"'), "0.iv"], OriginFailed),
        ([GIVEN.replace('"key"', '"http://10.0.0.1/key"'), "0.iv"], UrlBlocked),
        ([GIVEN.replace('"key"', '"file:///etc/machine-id"'), "0.iv"], UrlBlocked),
        ([GIVEN.replace('"key"', '"data:;base64,AAAAAAAAAAAAAAAAAAAAAA=="'), "0.iv"], UrlBlocked),
        ([GIVEN.replace('URI="key",', ""), "0.iv"], UrlBlocked),
        ([GIVEN.replace("0x", ""), "0.iv"], OriginFailed),
        ([GIVEN + "0", "0.iv"], OriginFailed),
        ([GIVEN.replace("0x", "0xz"), "0.iv"], OriginFailed),
        ([COUNTED, MAP.format("head.iv"), "0.seq"], OriginFailed),
        ([GIVEN.replace('"key"', '"key2"'), "0.iv"], OriginFailed),
        ([GIVEN, "0.ts"], OriginFailed),
        ([GIVEN, "cut.iv"], OriginFailed),
        ([GIVEN, "short.iv"], OriginFailed),
        ([GIVEN, "empty.iv"], OriginFailed),
        ([GIVEN, "missing.iv"], OriginFailed),
    ],
)  # fmt: skip
async def test_what_cannot_be_decrypted_is_refused(
    site: RunningSite, lines: list[str], error: type[ServiceError]
) -> None:
    with pytest.raises(error):
        await fetched(site, playlist(*lines))


@pytest.mark.parametrize("sequence", ["-1", str(2**128), "9" * 5000, "x"])
async def test_a_number_that_is_no_vector_is_refused(site: RunningSite, sequence: str) -> None:
    with pytest.raises(OriginFailed):
        await fetched(site, playlist(COUNTED, "0.seq", sequence=sequence))


@pytest.mark.parametrize("status", [200, 206, 403, 404, 500])
async def test_a_key_is_what_a_success_holds(status: int) -> None:
    answers = {
        "/list": response(200, playlist(GIVEN, "a")),
        "/a": response(200, encrypted(PLAIN[0], VECTOR)),
        "/key": response(status, KEYS["key"]),
    }
    async with raw_origin(answers) as place:
        port = int(place.rpartition(":")[2])
        fetch = Fetcher(FetchSettings(ports=[port], loopback=True), 2**20)
        with nullcontext() if status == 200 else pytest.raises(OriginFailed):
            async with fetch.open(fetch.checked(f"{place}/list")) as source:
                assert await everything(source) == PLAIN[0]
