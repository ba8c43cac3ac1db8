"""The page as it comes over the wire: its files and nothing else, and what browsers are told."""

from __future__ import annotations

import gzip
import logging
import shutil
from pathlib import Path

import pytest

from service.api import page
from service.api.guard import HEADERS
from service.app import create_app
from service.auth import entry, new_key
from service.engine import Readiness
from service.receipt import new_key as new_signing_key
from service.settings import (
    AuthSettings,
    FetchSettings,
    ReceiptSettings,
    ServerSettings,
    Settings,
)
from tests.api.client import client, problem
from tests.api.fakes import FakeEngine
from tests.api.wire import code, connected, read_all, served

PARTS = sorted({path.name for path in page.FOLDER.iterdir() if path.is_file()} - {page.FIRST})
BELOW = f"/page/{page.page().version}"
PATHS = ["/", *(f"{BELOW}/{name}" for name in PARTS)]
OFF = Settings(server=ServerSettings(page=False))

POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' blob: data:",
    "media-src": "blob:",
    "connect-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
    "require-trusted-types-for": "'script'",
    "trusted-types": "'none'",
}


@pytest.mark.parametrize("path", PATHS)
async def test_every_file_is_what_it_is_and_guarded(path: str) -> None:
    async with client(FakeEngine()) as session:
        answer = await session.get(path)
        head = await session.head(path)
    assert answer.status_code == head.status_code == 200
    name = path.rpartition("/")[2] or page.FIRST
    text = (page.FOLDER / name).read_text()
    # The first one names the version of the others.
    assert answer.text == (text if path != "/" else text.replace('"page/', f'"{BELOW[1:]}/'))
    assert answer.headers["content-type"].split(";")[0] == page.TYPES[Path(name).suffix]
    directives = answer.headers["content-security-policy"].split("; ")
    assert dict(each.split(" ", 1) for each in directives) == POLICY
    told = {
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "cache-control": "no-cache" if path == "/" else "max-age=31536000, immutable",
        "vary": "Accept-Encoding",
    }
    assert {name: answer.headers[name] for name in told} == told
    closed = answer.headers["permissions-policy"]
    assert all(f"{each}=()" in closed for each in ("camera", "microphone", "geolocation"))
    assert "set-cookie" not in answer.headers
    assert {**head.headers} | {"x-request-id": ""} == {**answer.headers} | {"x-request-id": ""}


HOSTILE = [
    "/page",
    "/page/",
    BELOW,
    f"{BELOW}/",
    f"{BELOW}//",
    f"{BELOW}/{page.FIRST}",
    f"/{page.FIRST}",
    f"{BELOW}/nothing.js",
    f"/page/{PARTS[0]}",
    f"/page/000000000000/{PARTS[0]}",
    f"/page//{PARTS[0]}",
    f"/page/*/{PARTS[0]}",
    f"{BELOW.upper()}/{PARTS[0]}",
    f"{BELOW}/.",
    f"{BELOW}/..",
    f"{BELOW}/../api/page.py",
    f"{BELOW}/..%2fapi%2fpage.py",
    f"{BELOW}/%2e%2e/api/page.py",
    f"{BELOW}/%2e%2e%2fapi%2fpage.py",
    f"{BELOW}/..%5capi%5cpage.py",
    f"{BELOW}/..;/api/page.py",
    f"{BELOW}/....//api/page.py",
    f"{BELOW}/%252e%252e%252fapi%252fpage.py",
    f"{BELOW}/%c0%ae%c0%ae%c0%afapi",
    f"{BELOW}//etc/passwd",
    f"{BELOW}/%2fetc%2fpasswd",
    f"{BELOW}/file:%2f%2f%2fetc%2fpasswd",
    f"{BELOW}/{page.FOLDER}/{page.FIRST}",
    f"{BELOW}/%00{PARTS[0]}",
    f"{BELOW}/{PARTS[0]}%00",
    f"{BELOW}/{PARTS[0]}/",
    f"{BELOW}/{PARTS[0]}%2f",
    f"{BELOW}/./{PARTS[0]}",
    f"{BELOW}/{PARTS[0]}.",
    f"{BELOW}/{PARTS[0]}%20",
    f"{BELOW}/{PARTS[0].upper()}",
    f"/{BELOW}/{PARTS[0]}",
    f"{BELOW}/{PARTS[0]}::$DATA",
    f"{BELOW}/__init__.py",
    f"{BELOW}/{'a' * 8000}",
    f"{BELOW}/%ff%fe",
    f"{BELOW}/*",
]


def test_no_other_path_leads_to_a_file() -> None:
    with served(Settings(), FakeEngine()) as port:
        for path in HOSTILE:
            with connected(port) as connection:
                head = f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
                connection.sendall(head.encode())
                answer = read_all(connection)
            assert answer.startswith(b"HTTP/1.1 404 "), path
            assert code(answer) == "not_found", path


async def test_what_a_browser_has_is_not_sent_again() -> None:
    async with client(FakeEngine()) as session:
        for path in PATHS:
            first = await session.get(path)
            tag = first.headers["etag"]
            for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
                again = await session.get(path, headers={"If-None-Match": known})
                assert (again.status_code, again.content) == (304, b""), known
                # What a browser hears now replaces what it kept with the file.
                for name in (*page.HEADERS, "ETag", "X-Content-Type-Options"):
                    assert again.headers[name] == first.headers[name], name
            for other in ('"other"', tag.strip('"'), tag.upper() + "x", ""):
                again = await session.get(path, headers={"If-None-Match": other})
                assert (again.status_code, again.content) == (200, first.content), other


async def test_each_file_has_a_tag_of_its_own_that_depends_on_nothing_else() -> None:
    tags = []
    for _ in range(2):
        page.page.cache_clear()
        async with client(FakeEngine()) as session:
            tags.append([(await session.get(path)).headers["etag"] for path in PATHS])
    assert tags[0] == tags[1]
    assert len(set(tags[0])) == len(PATHS)
    # No time stands in them: under one tag all instances send the same.
    assert all(file.packed[4:8] == bytes(4) for file in everything().values())


def everything() -> dict[str, page.File]:
    """All files by name."""
    served = page.page()
    return {page.FIRST: served.first, **served.parts}


def test_another_file_makes_another_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that one page is never put together from two releases."""
    whole = page.page()
    for name in (page.FIRST, PARTS[0]):
        folder = tmp_path / name
        shutil.copytree(page.FOLDER, folder)
        (folder / name).write_bytes((folder / name).read_bytes() + b"\n")
        monkeypatch.setattr(page, "FOLDER", folder)
        other = page.page.__wrapped__()
        assert other.version != whole.version
        assert other.version.encode() in other.first.plain
        assert whole.version.encode() not in other.first.plain


@pytest.mark.parametrize(
    ("accepted", "packed"),
    [
        ("gzip", True),
        ("br, GZIP;q=0.5", True),
        ("*", True),
        ("gzip;q=0", False),
        ("*, gzip;q=0", False),
        ("br", False),
        ("identity", False),
        ("", False),
        (";,gzip;q=x,", False),
    ],
)
async def test_it_comes_compressed_to_those_who_read_that(accepted: str, packed: bool) -> None:
    async with client(FakeEngine()) as session:
        async with session.stream("GET", "/", headers={"Accept-Encoding": accepted}) as answer:
            raw = b"".join([piece async for piece in answer.aiter_raw()])
            tag = answer.headers["etag"]
        plain = await session.get("/", headers={"Accept-Encoding": "identity"})
        again = await session.get("/", headers={"Accept-Encoding": accepted, "If-None-Match": tag})
    assert answer.headers.get("content-encoding") == ("gzip" if packed else None)
    assert int(answer.headers["content-length"]) == len(raw)
    assert (gzip.decompress(raw) if packed else raw) == plain.content
    # The two forms are not the same bytes.
    assert (tag != plain.headers["etag"]) == packed
    assert again.status_code == 304
    assert "content-encoding" not in again.headers


@pytest.mark.parametrize("prefix", ["/deepfake", "/a/b/"])
async def test_under_a_prefix_that_is_left_or_stripped(prefix: str) -> None:
    under = prefix.rstrip("/")
    async with client(FakeEngine(), Settings(root_path=prefix)) as session:
        for path in PATHS:
            plain, prefixed = await session.get(path), await session.get(under + path)
            assert plain.status_code == prefixed.status_code == 200
            assert plain.content == prefixed.content
        for host in ("service", "evil.example"):
            bare = await session.get(under, headers={"Host": host})
            assert (bare.status_code, bare.headers["location"]) == (308, f"{under}/")
        problem(await session.get(f"{under}x"), 404, "not_found")


async def test_it_can_be_turned_off() -> None:
    prefixed = OFF.model_copy(update={"root_path": "/deepfake"})
    async with client(FakeEngine(), OFF) as session, client(FakeEngine(), prefixed) as other:
        for path in PATHS:
            problem(await session.get(path), 404, "not_found")
        problem(await other.get("/deepfake"), 404, "not_found")
        assert (await session.get("/docs")).status_code == 200
    async with client(FakeEngine(), Settings(server=ServerSettings(docs=False))) as session:
        assert (await session.get("/")).status_code == 200


@pytest.mark.parametrize("engine", [FakeEngine(), FakeEngine(readiness=Readiness(ready=False))])
async def test_it_is_open_where_keys_are_set_and_before_models_are_loaded(
    engine: FakeEngine,
) -> None:
    keyed = Settings(auth=AuthSettings(keys=[entry("alice", new_key())]))
    async with client(engine, keyed) as session:
        assert (await session.get("/")).status_code == 200
        problem(await session.get("/v1/models"), 401, "unauthorized")


@pytest.mark.parametrize("offered", [True, False])
async def test_the_page_learns_what_it_may_offer(offered: bool, tmp_path: Path) -> None:
    private, _ = new_signing_key()
    (tmp_path / "key.pem").write_bytes(private)
    chosen = Settings(
        auth=AuthSettings(keys=[entry("alice", new_key())] if offered else []),
        fetch=FetchSettings(enabled=offered),
        receipt=ReceiptSettings(key=tmp_path / "key.pem" if offered else None),
        server=ServerSettings(docs=offered),
    )
    async with client(FakeEngine(), chosen) as session:
        told = await session.get("/page/offers.json")
    assert told.json() == {"keys": offered} | dict.fromkeys(("docs", "links", "receipts"), offered)
    # What is offered changes with the page, and is asked for anew like it.
    for name, value in (HEADERS | {"Cache-Control": "no-cache"}).items():
        assert told.headers[name] == value


async def test_pages_of_other_origins_get_no_leave_to_embed_it() -> None:
    shared = Settings(server=ServerSettings(cors_origins=["https://example.org"]))
    async with client(FakeEngine(), shared) as session:
        answer = await session.get("/", headers={"Origin": "https://example.org"})
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert {each.strip() for each in answer.headers["vary"].split(",")} == {
        "Accept-Encoding",
        "Origin",
    }


async def test_the_api_knows_nothing_of_it() -> None:
    schema = create_app(Settings(), FakeEngine()).openapi()
    assert "/" not in schema["paths"]
    assert not [path for path in schema["paths"] if path.startswith("/page")]
    async with client(FakeEngine()) as session:
        for method in ("POST", "PUT", "DELETE"):
            refused = await session.request(method, "/", content=b"x")
            problem(refused, 405, "method_not_allowed")
            assert set(refused.headers["allow"].split(", ")) == {"GET", "HEAD"}


async def test_it_is_counted_and_logged_by_route(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="service.access"):
        async with client(FakeEngine()) as session:
            for path in ("/", PATHS[1], "/page/SECRET/a.js", f"{BELOW}/SECRET"):
                await session.get(path)
            text = (await session.get("/metrics")).text
    assert 'http_requests_total{method="GET",route="/",status="200"} 1.0' in text
    part = 'http_requests_total{method="GET",route="/page/{version}/{name}"'
    assert f'{part},status="200"}} 1.0' in text
    assert f'{part},status="404"}} 2.0' in text
    lines = [str(vars(record)) for record in caplog.records]
    assert len(lines) == 5
    assert not [each for each in (text, *lines) if "SECRET" in each]


async def test_nothing_is_read_or_compressed_once_it_serves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It may run where it can open no file, and costs nobody else anything."""

    def never(*_: object, **__: object) -> None:
        raise AssertionError

    async with client(FakeEngine()) as session:
        monkeypatch.setattr(Path, "read_bytes", never)
        monkeypatch.setattr(gzip, "compress", never)
        for path in PATHS:
            assert (await session.get(path)).status_code == 200
