"""Calls at the end of a job reach their receiver, signed, or are given up in a bounded time."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import time
from collections.abc import Iterator

import pytest

from service.settings import Settings, WebhookSettings
from service.sources.url import parse
from service.webhook import SIGNATURE, Webhooks, _may_pass
from tests.origin.running import RunningSite, running_site
from tests.unit.sources.sites import fetcher

BODY = b'{"id":"a","status":"done"}'
SECRET = "a secret of callers, long enough"
ME = "somebody"
OUTCOMES: list[str] = []
"""How the calls of a test ended."""


@pytest.fixture(scope="module")
def site() -> Iterator[RunningSite]:
    with running_site() as running:
        yield running


def webhooks(site: RunningSite, **settings: object) -> Webhooks:
    OUTCOMES.clear()
    values = {"secret": SECRET, "pause_seconds": 0.05, "attempts": 3} | settings
    return Webhooks(
        WebhookSettings.model_validate(values),
        fetcher(site, seconds=1.0, idle_seconds=0.3),
        OUTCOMES.append,
    )


async def delivered(hooks: Webhooks) -> None:
    async with asyncio.timeout(20):
        while hooks.pending:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def calls(site: RunningSite, name: str) -> list[dict[str, object]]:
    return [entry for entry in site.log() if str(entry["target"]).endswith(name)]


async def test_a_call_is_signed(site: RunningSite) -> None:
    hooks = webhooks(site)
    hooks.call(hooks._fetcher.checked(site.url("thanks", "signed")), ME, BODY)
    await delivered(hooks)
    (call,) = calls(site, "signed")
    assert (call["method"], call["body"]) == ("POST", BODY.decode())
    headers = call["headers"]
    assert isinstance(headers, dict)
    assert headers["content-type"] == "application/json"
    stamp, digest = (part.split("=")[1] for part in headers[SIGNATURE.lower()].split(","))
    assert abs(int(stamp) - time.time()) < 60
    expected = hmac.new(SECRET.encode(), f"{stamp}.".encode() + BODY, hashlib.sha256)
    assert digest == expected.hexdigest()


async def test_a_call_is_repeated_until_it_is_taken(site: RunningSite) -> None:
    hooks = webhooks(site)
    hooks.call(hooks._fetcher.checked(site.url("busy-twice", "repeated")), ME, BODY)
    await delivered(hooks)
    assert len(calls(site, "repeated")) == 3
    assert OUTCOMES == ["delivered"]


@pytest.mark.parametrize(
    "behaviour", ["broken", "silent", "hangs-up", "endless-head", "dripping-head"]
)
async def test_a_call_that_nobody_takes_is_given_up(
    site: RunningSite, behaviour: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "service.webhook")
    hooks = webhooks(site, attempts=2)
    began = time.monotonic()
    hooks.call(hooks._fetcher.checked(site.url(behaviour, "given-up")), ME, BODY)
    await delivered(hooks)
    assert time.monotonic() - began < 2 * 1.0 + 1.5
    assert [record.getMessage() for record in caplog.records] == ["webhook given up"]
    assert OUTCOMES == ["given_up"]
    assert str(site.port) not in caplog.text


@pytest.mark.parametrize("behaviour", ["missing", "forbidden", "loop", "gone"])
async def test_what_will_not_change_is_not_tried_again(
    site: RunningSite, behaviour: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "service.webhook")
    hooks = webhooks(site, pause_seconds=10)
    hooks.call(hooks._fetcher.checked(site.url(behaviour, "refused")), ME, BODY)
    began = time.monotonic()
    await delivered(hooks)
    assert time.monotonic() - began < 5
    assert len(calls(site, f"{behaviour}/refused")) == 1
    assert len(caplog.records) == 1


async def test_nor_is_what_may_not_be_called(site: RunningSite) -> None:
    hooks = webhooks(site, pause_seconds=10)
    hooks.call(parse("http://10.0.0.1/"), ME, BODY)
    began = time.monotonic()
    await delivered(hooks)
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("status", "again"),
    [(408, True), (429, True), (500, True), (504, True), (400, False), (410, False), (301, False)],
)
def test_what_may_pass(status: int, again: bool) -> None:
    assert _may_pass(status) == again


async def test_one_caller_holds_half_of_the_places(site: RunningSite) -> None:
    hooks = webhooks(site, waiting=4)
    url = hooks._fetcher.checked(site.url("silent", "half"))
    for _ in range(4):
        hooks.call(url, "greedy", BODY)
    assert hooks.pending == 2
    for _ in range(3):
        hooks.call(url, "other", BODY)
    assert hooks.pending == 4
    await hooks.stop()
    assert not hooks.pending


@pytest.mark.parametrize("secret", ["s", "s" * 31])
def test_a_secret_that_can_be_guessed_is_refused(secret: str) -> None:
    with pytest.raises(ValueError, match="32 characters"):
        WebhookSettings(secret=secret)
    WebhookSettings(secret="")
    WebhookSettings(secret="s" * 32)


def test_a_secret_that_is_wrong_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEEPFAKE_WEBHOOK__SECRET", "too-short-7b53c1")
    with pytest.raises(ValueError, match="32 characters") as raised:
        Settings()
    assert "7b53c1" not in str(raised.value)


async def test_calls_that_wait_are_bounded(
    site: RunningSite, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "service.webhook")
    hooks = webhooks(site, waiting=2)
    for caller in ("a", "b", "c"):
        hooks.call(hooks._fetcher.checked(site.url("silent", "full")), caller, BODY)
    assert hooks.pending == 2
    assert len(caplog.records) == 1
    await hooks.stop()
    assert not hooks.pending
