"""yt-dlp knows no site and no way out but those that it is given."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest
import yt_dlp.extractor
from yt_dlp.networking.common import Request
from yt_dlp.networking.exceptions import RequestError
from yt_dlp.utils import ExtractorError

from service.settings import SITES
from service.sites import headers
from service.sites.library import Library
from service.sites.messages import POSTED_BYTES, Given, Wanted
from tests.unit.sites.canned import answer


class Parent:
    """Answers by URL; what it does not know it does not answer."""

    def __init__(self, answers: Mapping[str, tuple[Given, bytes]]) -> None:
        self._answers = answers
        self.asked: list[tuple[Wanted, bytes]] = []

    def __call__(self, wanted: Wanted, body: bytes) -> tuple[Given, bytes] | None:
        self.asked.append((wanted, body))
        return self._answers.get(wanted.url)


def test_an_extractor_cannot_call_one_that_is_not_allowed() -> None:
    reader = Library(["Reddit"], Parent({}))._reader
    assert reader.get_info_extractor("Reddit").ie_key() == "Reddit"
    with pytest.raises(ExtractorError):
        reader.get_info_extractor("Youtube")
    assert list(reader._ies) == ["Reddit"]


def test_nothing_else_sends_requests_and_no_program_is_run() -> None:
    reader = Library(["Reddit"], Parent({}))._reader
    assert list(reader._request_director.handlers) == ["Parent"]
    assert not reader._js_runtimes
    assert not reader.cache.enabled
    assert not reader._pps["post_process"]


def test_a_cookie_that_was_set_by_hand_is_said_once() -> None:
    parent = Parent(
        {
            "http://a.example/": answer("", status=302, Location="http://b.example/"),
            "http://b.example/": answer("there"),
        }
    )
    reader = Library(["Reddit"], parent)._reader
    response = reader.urlopen(Request("http://a.example/", headers={"Cookie": "a=b"}))
    assert response.read() == b"there"
    assert response.url == "http://b.example/"
    first, second = (wanted.headers for wanted, _ in parent.asked)
    assert first["Cookie"] == "a=b"
    assert "Cookie" not in second


@pytest.mark.parametrize(
    "there", ["http://a.example/", "https://b.example/", "https://a.example:81/"]
)
def test_what_tells_who_asks_stays_where_it_was_said(there: str) -> None:
    begin = "https://a.example/"
    parent = Parent(
        {
            begin: answer("", status=302, Location="/next"),
            f"{begin}next": answer("", status=302, Location=there),
            there: answer("there"),
        }
    )
    named = {"Authorization": "Bearer b", "X-CSRFToken": "t", "Referer": "r"}
    Library(["Reddit"], parent)._reader.urlopen(Request(begin, headers=named))
    _, near, far = ({name.lower() for name in wanted.headers} for wanted, _ in parent.asked)
    assert {"authorization", "x-csrftoken", "referer"} <= near
    assert far & {"authorization", "x-csrftoken", "referer"} == {"referer"}


def test_headers_that_the_sites_want_are_known() -> None:
    folder = Path(yt_dlp.extractor.__file__).parent
    files = [file for site in SITES for file in folder.rglob(f"{site.lower()}*/*.py")]
    files += [folder / f"{site.lower()}.py" for site in SITES]
    texts = [file.read_text() for file in files if file.is_file()]
    assert len(texts) > len(SITES)
    set_by = {name for text in texts for name in re.findall(r"[\"'](X-[\w-]+)[\"']", text, re.I)}
    # The last is one of answers.
    assert {name for name in set_by if not headers.of_request(name)} == {"X-Head-Seqnum"}


@pytest.mark.parametrize(
    ("status", "method", "body"), [(302, "GET", b""), (303, "GET", b""), (307, "POST", b"x")]
)
def test_what_is_posted_is_repeated_only_where_that_is_asked_for(
    status: int, method: str, body: bytes
) -> None:
    parent = Parent(
        {
            "http://a.example/": answer("", status=status, Location="/b"),
            "http://a.example/b": answer("there"),
        }
    )
    Library(["Reddit"], parent)._reader.urlopen(Request("http://a.example/", data=b"x"))
    sent, posted = parent.asked[1]
    assert (sent.method, posted) == (method, body)
    assert ("Content-Type" in sent.headers) == (method == "POST")


@pytest.mark.parametrize(
    "request_",
    [
        Request("file:///etc/passwd"),
        Request("ftp://a.example/"),
        Request("ws://a.example/"),
        Request("http://a.example/", method="PUT"),
        Request("http://a.example/" + "a" * 9000),
        Request("http://a.example/", data=bytes(POSTED_BYTES + 1)),
        Request("http://a.example/", proxies={"http": "http://10.0.0.1/"}),
    ],
    ids=["file", "ftp", "ws", "put", "long", "large", "proxy"],
)
def test_other_requests_are_not_sent(request_: Request) -> None:
    parent = Parent({"http://a.example/": answer("there")})
    with pytest.raises(RequestError):
        Library(["Reddit"], parent)._reader.urlopen(request_)
    assert not parent.asked
