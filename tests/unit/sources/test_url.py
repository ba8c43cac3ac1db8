"""What is taken for a URL, and what is not."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import UrlBlocked
from service.sources.addresses import public
from service.sources.url import parse
from tests.security.hostile_urls import MALFORMED, NUMBERS, PRIVATE


@pytest.mark.parametrize(
    ("text", "scheme", "host", "port", "target"),
    [
        ("http://example.org", "http", "example.org", 80, "/"),
        ("HTTPS://Example.ORG/a?b=c#d", "https", "example.org", 443, "/a?b=c"),
        ("https://example.org:8443?b", "https", "example.org", 8443, "/?b"),
        ("http://example.org./a", "http", "example.org", 80, "/a"),
        ("http://xn--bcher-kva.example/", "http", "xn--bcher-kva.example", 80, "/"),
        ("http://a_b.example/%2e%2E/ü d".replace(" ", "%20"), "http", "a_b.example", 80,
         "/%2e%2E/%C3%BC%20d"),
        ("http://93.184.216.34/", "http", "93.184.216.34", 80, "/"),
        ("http://[2606:2800:220:1::1]:80/", "http", "2606:2800:220:1::1", 80, "/"),
        ("http://example.org/a@b:c", "http", "example.org", 80, "/a@b:c"),
        ("http://example.org/{x}|^`\"<>", "http", "example.org", 80, "/{x}|^`\"<>"),
    ],
)  # fmt: skip
def test_urls_are_read(text: str, scheme: str, host: str, port: int, target: str) -> None:
    url = parse(text)
    assert (url.scheme, url.host, url.port, url.target) == (scheme, host, port, target)


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("c", "http://example.org:81/a/c"),
        ("/c?d", "http://example.org:81/c?d"),
        ("../c", "http://example.org:81/c"),
        ("?d", "http://example.org:81/a/b?d"),
        ("//other.example/c", "http://other.example/c"),
        ("https://other.example", "https://other.example/"),
    ],
)
def test_references_are_joined(reference: str, expected: str) -> None:
    assert str(parse("http://example.org:81/a/b").join(reference)) == expected


@pytest.mark.parametrize("text", [*MALFORMED, *NUMBERS])
def test_what_others_may_read_differently_is_no_url(text: str) -> None:
    with pytest.raises(UrlBlocked):
        parse(text)


@pytest.mark.parametrize(
    "reference", ["", "file:///a", "//u@h/", "http://0x7f.1/", "a\\b", "a\nb", "http://["]
)
def test_references_elsewhere_are_refused(reference: str) -> None:
    with pytest.raises(UrlBlocked):
        parse("http://example.org/").join(reference)


@given(st.text(max_size=60))
def test_any_text_is_a_url_or_refused(text: str) -> None:
    for whole in (text, "http://" + text, "http://example.org" + text):
        try:
            url = parse(whole)
        except UrlBlocked:
            continue
        assert url.target.isascii()
        assert url.target.startswith("/")
        assert not set(url.host) & set("@/\\?#% ")
        assert parse(str(url)) == url


@pytest.mark.parametrize("text", PRIVATE)
def test_these_addresses_are_not_public(text: str) -> None:
    assert not public(ipaddress.ip_address(text))


@pytest.mark.parametrize(
    "text",
    [
        "1.1.1.1",
        "8.8.8.8",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "168.63.129.15",
        "172.15.255.255",
        "172.32.0.0",
        "192.167.255.255",
        "192.169.0.0",
        "198.17.255.255",
        "198.20.0.0",
        "223.255.255.255",
        "2606:4700::1111",
        "2a00:1450:4001::200e",
        "2001:4860:4860::8888",
    ],
)
def test_their_neighbours_are(text: str) -> None:
    assert public(ipaddress.ip_address(text))
