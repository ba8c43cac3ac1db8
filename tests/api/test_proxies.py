"""Who a bound is for where a proxy stands between: whom the proxy names, if it is trusted, and
nobody whom a client names."""

from __future__ import annotations

from contextlib import ExitStack

import httpx
import pytest
from uvicorn.protocols.http import h11_impl

from service.settings import AuthSettings, Limits, Settings
from tests.api.client import OCTETS
from tests.api.fakes import FakeEngine
from tests.api.wire import code, connected, served


def statuses(trusted: str, *forwarded: str | None) -> list[int]:
    """What one peer is answered that sends a video for each of these, where a caller may send one
    a minute. The peer's address is 127.0.0.1."""
    chosen = Settings(auth=AuthSettings(requests_per_minute=1), trusted_proxies=trusted)
    with served(chosen, FakeEngine()) as port, httpx.Client() as peer:
        url = f"http://127.0.0.1:{port}/v1/detections"
        named = [{"X-Forwarded-For": each} if each else {} for each in forwarded]
        return [peer.post(url, content=b"x", headers=OCTETS | each).status_code for each in named]


@pytest.mark.parametrize("trusted", ["127.0.0.1", "10.0.0.1, 127.0.0.0/8"])
def test_each_client_behind_a_trusted_proxy_has_bounds_of_its_own(trusted: str) -> None:
    same = ("1.2.3.4", "5.6.7.8", "1.2.3.4", "2001:db8::1", "2001:db8::2", "2001:db8:0:1::1")
    assert statuses(trusted, *same) == [200, 200, 429, 200, 429, 200]


@pytest.mark.parametrize("trusted", ["10.0.0.1", "10.0.0.0/8,192.168.0.1", "", "nonsense"])
def test_whom_a_stranger_names_is_not_believed(trusted: str) -> None:
    assert statuses(trusted, "1.2.3.4", "5.6.7.8", None, "127.0.0.1") == [200, 429, 429, 429]


def test_whom_a_client_names_to_a_trusted_proxy_is_not_believed() -> None:
    """The proxy adds the client it sees to what the client says."""
    named = ("1.1.1.1, 9.9.9.9", "2.2.2.2, 9.9.9.9", "127.0.0.1, 9.9.9.9", "9.9.9.9, 3.3.3.3")
    assert statuses("127.0.0.1", *named) == [200, 429, 429, 200]


def test_a_proxy_that_names_nobody_is_a_caller_itself() -> None:
    assert statuses("127.0.0.1", None, None, "127.0.0.1") == [200, 429, 429]


def test_connections_are_bounded_by_who_made_them(monkeypatch: pytest.MonkeyPatch) -> None:
    neighbours = [f"2001:db8::{number}" for number in range(5)]
    written = ["9.9.9.9", "::ffff:9.9.9.9"] * 3
    assert taken(neighbours, monkeypatch) == [True] * 4 + [False]
    assert taken(written, monkeypatch) == [True] * 4 + [False] * 2
    assert taken(["10.1.2.3"] * 8, monkeypatch) == [True] * 8
    assert taken([*neighbours[:4], "2001:db8:0:1::1"], monkeypatch) == [True] * 5


def taken(addresses: list[str], monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Which of the connections from these addresses are served, where there are eight in all."""
    left = iter(addresses)
    monkeypatch.setattr(h11_impl, "get_remote_addr", lambda transport: (next(left), 1))
    chosen = Settings(limits=Limits(connections=8), trusted_proxies="10.0.0.0/8")
    answers = []
    with served(chosen, FakeEngine()) as port, ExitStack() as stack:
        for _ in addresses:
            connection = stack.enter_context(connected(port))
            connection.sendall(b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n")
            answers.append(connection.recv(65536))
    refused = [answer for answer in answers if not answer.startswith(b"HTTP/1.1 200 ")]
    assert all(code(answer) == "rate_limited" for answer in refused)
    return [answer not in refused for answer in answers]
