"""Names are looked up without holding anybody up. No name is looked up here."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from service.errors import OriginSlow
from service.settings import FetchSettings
from service.sources import names
from service.sources.guard import Guard
from service.sources.names import MOST, MOST_CALLS, resolve
from service.sources.remote import Fetcher
from tests.onnx_models import brightness_model

HANGS = """
import socket, sys, time
socket.getaddrinfo = lambda *arguments, **options: time.sleep(120)
from service.cli import app
app(sys.argv[1:])
"""


def answering(*addresses: str) -> Callable[..., object]:
    return lambda *_, **__: [(socket.AF_INET, 1, 6, "", (address, 80)) for address in addresses]


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """A resolver that answers once this is set."""
    answered = threading.Event()

    def hang(*arguments: object, **options: object) -> object:
        answered.wait(60)
        return answering("93.184.216.34")()

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    yield answered
    answered.set()
    deadline = time.monotonic() + 10
    while any(thread.name == "resolver" for thread in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(0.01)


async def test_each_address_is_given_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", answering("8.8.8.8", "1.1.1.1", "8.8.8.8"))
    assert await resolve("a.example", 80) == ["8.8.8.8", "1.1.1.1"]


async def test_a_failure_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object, **options: object) -> object:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    for _ in range(MOST + 1):
        with pytest.raises(socket.gaierror):
            await resolve("a.example", 80)


async def test_look_ups_are_bounded_and_their_places_come_back(silent: threading.Event) -> None:
    waiting = [asyncio.create_task(resolve("a.example", 80)) for _ in range(MOST)]
    await asyncio.sleep(0.1)
    with pytest.raises(TimeoutError):
        await resolve("b.example", 80)
    with pytest.raises(TimeoutError):
        await Guard(FetchSettings()).connect_tcp("b.example", 80)
    # Who gives up leaves his thread behind, and its place is still taken.
    for each in waiting[1:]:
        each.cancel()
    await asyncio.gather(*waiting[1:], return_exceptions=True)
    with pytest.raises(TimeoutError):
        await resolve("b.example", 80)
    silent.set()
    assert await waiting[0] == ["93.184.216.34"]
    deadline = time.monotonic() + 10
    while names.resolve._free._value < MOST:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)
    assert await resolve("b.example", 80) == ["93.184.216.34"]


async def test_receivers_of_calls_keep_no_video_out(silent: threading.Event) -> None:
    fetcher = Fetcher(FetchSettings(idle_seconds=0.2), 2**20)
    url = fetcher.checked("http://a.example/")
    calls = [fetcher.post(url, b"", {}) for _ in range(MOST + MOST_CALLS)]
    failed = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(each) for each in failed} == {OriginSlow}
    assert sum(thread.name == "resolver" for thread in threading.enumerate()) == MOST_CALLS
    silent.set()
    assert await resolve("b.example", 80) == ["93.184.216.34"]


async def test_where_no_thread_is_to_be_had_the_place_comes_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def none_left(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", none_left)
    before = names.resolve._free._value
    with pytest.raises(TimeoutError):
        await resolve("a.example", 80)
    assert names.resolve._free._value == before


async def test_a_name_server_that_keeps_silent_is_a_slow_origin(silent: threading.Event) -> None:
    fetcher = Fetcher(FetchSettings(idle_seconds=0.2), 2**20)
    began = time.monotonic()
    with pytest.raises(OriginSlow):
        async with fetcher.open(fetcher.checked("http://a.example/")):
            pass
    assert time.monotonic() - began < 2


def test_it_does_not_keep_the_process_from_ending(tmp_path: Path) -> None:
    model = tmp_path / "brightness.onnx"
    model.write_bytes(brightness_model())
    done = subprocess.run(
        [sys.executable, "-c", HANGS, "score", "http://a.example/", "--model", str(model)],
        env={"DEEPFAKE_FETCH__IDLE_SECONDS": "0.5"},
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert "origin_slow" in done.stderr
