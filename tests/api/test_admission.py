"""What the service holds at any moment is bounded, and every bound gives back what it took."""

from __future__ import annotations

import asyncio
import gc
import select
import socket
import threading
import time
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import httpx
import pytest

from service.admission import Admission
from service.engine import Readiness
from service.errors import Busy, NotReady, RateLimited
from service.settings import AuthSettings, Limits, Settings
from service.throttle import Throttle
from tests.api.client import OCTETS, client, problem, settings
from tests.api.fakes import FakeEngine
from tests.api.served import TWO_MODELS
from tests.api.wire import MEGABYTE, POST, code, connected, eventually, read_all, served


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def admission(clock: Clock, auth: AuthSettings | None = None, **limits: float) -> Admission:
    shed: Counter[str] = Counter()
    made = Admission(
        Limits.model_validate(limits), auth or AuthSettings(), lambda why: shed.update([why]), clock
    )
    made.seen = shed  # type: ignore[attr-defined]
    return made


def test_a_throttled_caller_may_go_on_exactly_when_told() -> None:
    clock = Clock()
    throttle = Throttle(6, clock)
    for _ in range(6):
        assert throttle.wait("a") == 0
        throttle.take("a")
    assert throttle.wait("a") == pytest.approx(10)
    assert throttle.wait("b") == 0
    clock.now += 9.9
    assert throttle.wait("a") == pytest.approx(0.1)
    clock.now += throttle.wait("a")
    assert throttle.wait("a") == 0


def test_a_pause_earns_one_minute_of_videos_and_no_more() -> None:
    clock = Clock()
    throttle = Throttle(3, clock)
    throttle.take("a")
    clock.now += 10_000
    for _ in range(3):
        assert throttle.wait("a") == 0
        throttle.take("a")
    assert throttle.wait("a") > 0


def test_callers_without_number_take_bounded_memory() -> None:
    throttle = Throttle(1, Clock())
    for number in range(20_000):
        throttle.take(str(number))
    assert len(throttle._buckets) == 10_000
    assert throttle.wait("19999") > 0


def test_places_are_bounded_and_come_back() -> None:
    gate = admission(Clock(), concurrency=1, waiting=1)
    places = [gate.admit("a", 10), gate.admit("b", 20)]
    assert (gate.held, gate.media_bytes) == (2, 30)
    with pytest.raises(Busy):
        gate.admit("c", 0)
    places[0].release()
    places[0].release()
    assert (gate.held, gate.media_bytes) == (1, 20)
    gate.admit("c", 5).release()
    places[1].release()
    assert (gate.held, gate.media_bytes) == (0, 0)


def test_bytes_are_bounded_however_they_come() -> None:
    gate = admission(Clock(), media_bytes=100)
    announced = gate.admit("a", 60)
    with pytest.raises(Busy):
        gate.admit("b", 41)
    chunked = gate.admit("b", 0)
    chunked.arrive(39)
    with pytest.raises(Busy):
        chunked.arrive(2)
    announced.arrive(60)
    assert gate.media_bytes == 99
    announced.settle(50)
    assert gate.media_bytes == 89
    chunked.release()
    announced.release()
    assert (gate.held, gate.media_bytes) == (0, 0)


def test_each_caller_has_its_own_bounds_and_a_refusal_costs_nothing() -> None:
    clock = Clock()
    auth = AuthSettings(requests_per_minute=2, concurrency=1)
    gate = admission(clock, auth, concurrency=1, waiting=1)
    first = gate.admit("a", 0)
    with pytest.raises(RateLimited):
        gate.admit("a", 0)
    other = gate.admit("b", 0)
    first.release()
    filler = gate.admit("c", 0)
    for _ in range(5):
        with pytest.raises(Busy):
            gate.admit("a", 0)
    filler.release()
    gate.admit("a", 0).release()
    with pytest.raises(RateLimited) as refused:
        gate.admit("a", 0)
    assert refused.value.retry_after == pytest.approx(30)
    other.release()


@pytest.mark.parametrize(("took", "wait"), [(0.1, 1), (8, 4), (1000, 60)])
def test_busy_tells_when_to_try_from_how_long_videos_take(took: float, wait: float) -> None:
    clock = Clock()
    gate = admission(clock, concurrency=1, waiting=1)
    done = gate.admit("a", 0)
    clock.now += took
    done.release()
    gate.admit("a", 0)
    gate.admit("b", 0)
    with pytest.raises(Busy) as refused:
        gate.admit("c", 0)
    assert refused.value.retry_after == pytest.approx(wait)


def test_what_is_closed_takes_nothing() -> None:
    gate = admission(Clock())
    gate.closed = True
    with pytest.raises(NotReady):
        gate.admit("a", 0)


async def test_one_video_too_many_is_busy_until_another_is_done() -> None:
    gate = threading.Event()
    engine = FakeEngine(gate=gate)
    async with client(engine, settings(concurrency=1, waiting=1, caller_share=1)) as session:

        async def post() -> httpx.Response:
            return await session.post("/v1/detections", content=b"xyz", headers=OCTETS)

        held = [asyncio.create_task(post()) for _ in range(2)]
        while len(engine.asked) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        refused = await post()
        metrics = (await session.get("/metrics")).text
        gate.set()
        assert [(await each).status_code for each in held] == [200, 200]
        assert (await post()).status_code == 200
        later = (await session.get("/metrics")).text
    problem(refused, 429, "busy")
    assert int(refused.headers["retry-after"]) >= 1
    assert 'deepfake_shed_total{reason="places"} 1.0' in metrics
    assert "deepfake_videos_held 2.0" in metrics
    assert "deepfake_media_bytes 6.0" in metrics
    assert "deepfake_videos_held 0.0" in later
    assert "deepfake_media_bytes 0.0" in later


async def test_too_many_videos_a_minute_say_when_to_go_on() -> None:
    chosen = Settings(auth=AuthSettings(requests_per_minute=2))
    async with client(FakeEngine(), chosen) as session:
        answers = [
            await session.post("/v1/detections", content=b"x", headers=OCTETS) for _ in range(3)
        ]
        assert (await session.get("/v1/limits")).status_code == 200
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    problem(answers[2], 429, "rate_limited")
    assert int(answers[2].headers["retry-after"]) in (29, 30)


FULL = Settings(limits=Limits(media_bytes=2 * 2**20))
DRAINING = Readiness(ready=True, draining=True)
KEYED = Settings(auth=AuthSettings(keys=["alice:" + "0" * 64]))


@pytest.mark.parametrize(
    ("chosen", "state", "query", "expected"),
    [
        (FULL, DRAINING, "", "not_ready"),
        (FULL, Readiness(ready=False), "", "not_ready"),
        (KEYED, TWO_MODELS, "", "unauthorized"),
        (FULL, TWO_MODELS, "?model=none", "unknown_model"),
        (FULL, TWO_MODELS, "?sampling=none", "malformed_request"),
        (FULL, TWO_MODELS, "", "too_large"),
    ],
)
def test_a_refusal_comes_before_the_first_byte(
    chosen: Settings, state: Readiness, query: str, expected: str
) -> None:
    post = POST.replace(b" HTTP", query.encode() + b" HTTP", 1)
    with served(chosen, FakeEngine(readiness=state)) as port, connected(port) as connection:
        connection.sendall(post + b"Content-Length: 3000000\r\nExpect: 100-continue\r\n\r\n")
        answer = connection.recv(65536)
        connection.shutdown(1)
        assert code(answer + read_all(connection)) == expected


@pytest.fixture
def busy() -> Iterator[int]:
    """The port of a service whose one place is taken."""
    gate = threading.Event()
    engine = FakeEngine(gate=gate)
    limits = settings(concurrency=1, waiting=1, caller_share=1, bytes=2**25)
    with served(limits, engine) as port, connected(port) as first, connected(port) as second:
        for connection in (first, second):
            connection.sendall(POST + b"Content-Length: 1\r\n\r\nx")
        assert eventually(lambda: len(engine.asked) == 2)
        yield port
        gate.set()


@pytest.mark.parametrize("chunked", [False, True])
def test_a_busy_service_is_understood_by_clients_that_send_first(busy: int, chunked: bool) -> None:
    def post(_: int) -> bytes:
        with connected(busy) as connection:
            if chunked:
                connection.sendall(POST + b"Transfer-Encoding: chunked\r\n\r\n")
            else:
                connection.sendall(POST + b"Content-Length: %d\r\n\r\n" % (16 * len(MEGABYTE)))
            for _ in range(16):
                connection.sendall(b"100000\r\n%b\r\n" % MEGABYTE if chunked else MEGABYTE)
            connection.sendall(b"0\r\n\r\n" if chunked else b"")
            return read_all(connection)

    with ThreadPoolExecutor(6) as clients:
        for answer in clients.map(post, range(12)):
            assert answer.startswith(b"HTTP/1.1 429 ")
            assert b"\r\nretry-after: " in answer.lower()
            assert code(answer) == "busy"


def test_bodies_without_a_length_share_the_bytes_there_are() -> None:
    gate = threading.Event()
    engine = FakeEngine(gate=gate)
    chunk = b"100000\r\n%b\r\n" % MEGABYTE
    limits = settings(media_bytes=5 * 2**20, bytes=4 * 2**20, caller_share=1)
    with served(limits, engine) as port, connected(port) as first, connected(port) as second:
        for connection in (first, second):
            connection.sendall(POST + b"Transfer-Encoding: chunked\r\n\r\n")
        first.sendall(chunk * 3 + b"0\r\n\r\n")
        assert eventually(lambda: len(engine.asked) == 1)
        second.sendall(chunk * 3 + b"0\r\n\r\n")
        assert code(read_all(second)) == "busy"
        gate.set()
        assert first.recv(65536).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("end", ["leaves", "is refused", "is done"])
def test_memory_is_given_back_at_once(end: str) -> None:
    size = 24 * 2**20
    engine = FakeEngine()
    limits = settings(media_bytes=size + 2**20, bytes=size + 2**20)

    def gauges(port: int) -> str:
        return httpx.get(f"http://127.0.0.1:{port}/metrics").text

    with served(limits, engine) as port:
        gauges(port)
        gc.collect()
        gc.disable()
        tracemalloc.start()
        try:
            with connected(port) as connection:
                connection.sendall(POST + b"Transfer-Encoding: chunked\r\n\r\n")
                for _ in range(size // len(MEGABYTE)):
                    connection.sendall(b"100000\r\n%b\r\n" % MEGABYTE)
                assert eventually(lambda: tracemalloc.get_traced_memory()[0] > size)
                if end == "is refused":
                    connection.sendall(b"200000\r\n%b\r\n" % (2 * MEGABYTE))
                if end != "leaves":
                    connection.sendall(b"0\r\n\r\n")
                    connection.recv(65536)
            assert eventually(lambda: "deepfake_media_bytes 0.0" in gauges(port))
            # The fake keeps what it was asked, as an engine does not.
            engine.asked.clear()
            assert eventually(lambda: tracemalloc.get_traced_memory()[0] < 3 * 2**20)
        finally:
            tracemalloc.stop()
            gc.enable()
        assert "deepfake_videos_held 0.0" in gauges(port)


def test_a_slow_body_gives_its_place_to_another() -> None:
    limits = settings(concurrency=1, waiting=1, caller_share=1, idle_seconds=0.3, drain_seconds=0.1)
    with served(limits, FakeEngine()) as port, connected(port) as slow, connected(port) as slower:
        for connection in (slow, slower):
            connection.sendall(POST + b"Content-Length: 1000\r\n\r\nx")
        started = time.monotonic()
        assert code(read_all(slow)) == "slow_body"
        assert time.monotonic() - started < 10
        assert code(read_all(slower)) == "slow_body"
        answer = httpx.post(f"http://127.0.0.1:{port}/v1/detections", content=b"x", headers=OCTETS)
    assert answer.status_code == 200


def test_a_body_that_trickles_gives_its_place_to_another() -> None:
    limits = settings(idle_seconds=1, upload_rate=1000, drain_seconds=0.1)
    with served(limits, FakeEngine()) as port, connected(port) as slow, connected(port) as steady:
        for connection in (slow, steady):
            connection.sendall(POST + b"Content-Length: 100000\r\n\r\n")
        sent = 0
        while not select.select([slow], [], [], 0.1)[0]:
            slow.sendall(b"x")
            steady.sendall(bytes(500))
            sent += 500
            assert sent < 25_000
        assert code(read_all(slow)) == "slow_body"
        assert held(port) == 1
        steady.sendall(bytes(100_000 - sent))
        assert steady.recv(65536).startswith(b"HTTP/1.1 200 ")


def held(port: int) -> float:
    """Videos that the service holds."""
    lines = httpx.get(f"http://127.0.0.1:{port}/metrics").text.splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("deepfake_videos_held"))


def test_one_address_cannot_take_all_places() -> None:
    """As many bodies trickle in as there are places, and then some."""
    limits = Limits()
    places = limits.concurrency + limits.waiting
    with served(Settings(), FakeEngine()) as port, ExitStack() as stack:
        greedy = [stack.enter_context(connected(port)) for _ in range(places + 2)]
        for connection in greedy:
            connection.sendall(POST + b"Content-Length: 1000\r\n\r\nx")
        for connection in greedy[places // 2 :]:
            connection.shutdown(socket.SHUT_WR)
            answer = read_all(connection)
            assert code(answer) == "rate_limited"
            assert b"\r\nretry-after: " in answer.lower()
        assert held(port) == places // 2
        transport = httpx.HTTPTransport(local_address="127.0.0.2")
        with httpx.Client(transport=transport) as other:
            url = f"http://127.0.0.1:{port}/v1/detections"
            assert other.post(url, content=b"x", headers=OCTETS).status_code == 200


@pytest.mark.parametrize(
    ("concurrency", "changes", "most"),
    [
        (0, {}, 3),
        (0, {"caller_share": 0.01}, 1),
        (0, {"caller_share": 1}, 6),
        (2, {}, 2),
        (5, {}, 5),
    ],
)
def test_a_caller_has_its_share_of_the_places(
    concurrency: int, changes: dict[str, float], most: int
) -> None:
    clock = Clock()
    auth = AuthSettings(concurrency=concurrency)
    gate = admission(clock, auth, concurrency=2, waiting=4, **changes)
    places = [gate.admit("a", 0) for _ in range(most)]
    with pytest.raises(RateLimited if most < 6 else Busy):
        gate.admit("a", 0)
    clock.now += 8 * most
    places.pop().release()
    places.append(gate.admit("a", 0))
    with pytest.raises(RateLimited if most < 6 else Busy) as refused:
        gate.admit("a", 0)
    assert refused.value.retry_after == pytest.approx(8), "of its own places one is free then"
    others = [gate.admit("b", 0) for _ in range(min(most, 6 - most))]
    for place in places + others:
        place.release()
    assert (gate.held, gate._callers) == (0, {})


def test_a_caller_has_its_share_of_the_bytes_and_room_for_one_video() -> None:
    gate = admission(Clock(), media_bytes=100, bytes=30)
    announced = gate.admit("a", 30)
    chunked = gate.admit("a", 0)
    chunked.arrive(20)
    with pytest.raises(RateLimited):
        chunked.arrive(1)
    with pytest.raises(RateLimited):
        gate.admit("a", 1)
    other = gate.admit("b", 30)
    announced.settle(10)
    chunked.arrive(10)
    for place in (announced, chunked, other):
        place.release()
    assert gate.media_bytes == 0
    narrow = admission(Clock(), media_bytes=100, bytes=90)
    narrow.admit("a", 90).release()
