"""Bounds on connections and heads of requests, and answers to what is no HTTP: over raw sockets."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
import time
from contextlib import ExitStack

import httpx
import pytest

from service import wire
from service.engine import SegmentScored
from service.server import HEAD_BYTES
from service.settings import Limits, ServerSettings, Settings
from tests.api.client import settings
from tests.api.fakes import SEGMENT, FakeEngine
from tests.api.wire import POST, code, connected, eventually, read_all, served
from tests.security.server_process import free_port

GET = b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\n"


def live(connection: socket.socket) -> bool:
    """Read one whole answer to GET."""
    answer = b""
    while not answer.endswith(b'{"live":true}'):
        piece = connection.recv(65536)
        assert piece, answer
        answer += piece
    return answer.startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    "bytes_sent",
    [
        b"EVIL\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/1.1\r\nEVIL header\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: EVIL\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET /\x00EVIL HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/one\r\nHost: x\r\n\r\n",
        POST + b"Transfer-Encoding: EVIL\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\nEVIL\r\nx\r\n",
    ],
)
def test_what_is_no_http_is_a_problem_like_any_other(
    bytes_sent: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG), served(settings(), FakeEngine()) as port:
        with connected(port) as connection:
            connection.sendall(bytes_sent)
            answer = read_all(connection)
        metrics = httpx.get(f"http://127.0.0.1:{port}/metrics").text
    assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 501 "))
    assert code(answer) == "malformed_request"
    head = answer.partition(b"\r\n\r\n")[0].lower()
    for header in (b"connection: close", b"x-request-id: ", b"cache-control: no-store"):
        assert b"\r\n" + header in head
    assert b"EVIL" not in answer
    assert not [record for record in caplog.records if "EVIL" in record.getMessage()]
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert 'route="unread",status="400"' in metrics


@pytest.mark.parametrize("size", [HEAD_BYTES + 1, 100_000, 2_000_000])
@pytest.mark.parametrize("line", [b"GET /%b", GET + b"X-Long: %b", GET + b"%b"])
def test_a_head_too_large_is_refused(line: bytes, size: int) -> None:
    filling = b"a: b\r\n" * (size // 6) if line.endswith(b"\n%b") else b"x" * size
    with served(settings(), FakeEngine()) as port, connected(port) as connection:
        connection.sendall(line % filling)
        answer = read_all(connection)
    assert answer.startswith(b"HTTP/1.1 431 ")
    assert code(answer) == "headers_too_large"


def test_a_head_is_measured_to_the_byte() -> None:
    for size, status in [(HEAD_BYTES, 200), (HEAD_BYTES + 1, 431)]:
        head = GET + b"X-Long: "
        head += b"x" * (size - len(head) - 4) + b"\r\n\r\n"
        assert len(head) == size
        with served(settings(), FakeEngine()) as port, connected(port) as connection:
            connection.sendall(head)
            assert connection.recv(65536).startswith(b"HTTP/1.1 %d " % status)


def test_the_next_head_of_a_connection_has_the_same_bound() -> None:
    with served(settings(), FakeEngine()) as port, connected(port) as connection:
        for _ in range(3):
            connection.sendall(GET + b"X-Long: " + b"x" * 10_000 + b"\r\n\r\n")
            assert live(connection)


@pytest.mark.parametrize("before", [b"", GET + b"\r\n"], ids=["first", "second"])
def test_a_head_that_never_ends_is_cut_off(before: bytes) -> None:
    with served(settings(header_seconds=0.5), FakeEngine()) as port, connected(port) as connection:
        if before:
            connection.sendall(before)
            assert live(connection)
        started, answer = time.monotonic(), b""
        connection.settimeout(0.05)
        # Every byte that trickles in must not buy more time.
        while not answer and time.monotonic() - started < 10:
            connection.sendall(b"G")
            try:
                answer = connection.recv(65536)
            except TimeoutError:
                continue
        connection.settimeout(10)
        answer += read_all(connection)
    assert time.monotonic() - started < 10
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert code(answer) == "slow_body"


def test_a_connection_without_a_word_is_closed() -> None:
    with served(settings(header_seconds=0.3), FakeEngine()) as port, connected(port) as connection:
        assert connection.recv(1) == b""


def test_a_request_that_arrived_has_all_the_time_its_work_takes() -> None:
    gate = threading.Event()
    threading.Timer(1.0, gate.set).start()
    engine = FakeEngine(gate=gate)
    with served(settings(header_seconds=0.2), engine) as port, connected(port) as connection:
        connection.sendall(POST + b"Content-Length: 1\r\n\r\nx")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("reads", [False, True], ids=["deaf", "slow"])
def test_an_answer_that_nobody_reads_is_let_go(
    monkeypatch: pytest.MonkeyPatch, reads: bool
) -> None:
    monkeypatch.setattr(wire, "_UNREAD_SECONDS", 1.0)
    many = [SegmentScored(number, SEGMENT.segment) for number in range(100_000)]
    with served(settings(), FakeEngine(told=many)) as port, connected(port) as connection:
        accept = b"Connection: close\r\nAccept: application/x-ndjson\r\n"
        connection.sendall(POST + accept + b"Content-Length: 1\r\n\r\nx")
        answer = b""
        for _ in range(40):
            # What the kernel has room for moves in large steps: a slow reader is no trickle here.
            answer += connection.recv(400_000) if reads else b""
            time.sleep(0.1)
        answer += read_all(connection)
    assert (b'"report"' in answer[-3000:]) == reads


def test_connections_are_bounded() -> None:
    with served(settings(connections=3), FakeEngine()) as port, ExitStack() as open_ones:
        held = [open_ones.enter_context(connected(port)) for _ in range(3)]
        for connection in held:
            connection.sendall(GET + b"\r\n")
            assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
        with connected(port) as connection:
            connection.sendall(GET + b"\r\n")
            answer = read_all(connection)
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"\r\nretry-after: " in answer.lower()
        assert code(answer) == "not_ready"
        held[0].close()

        def served_again() -> bool:
            with connected(port) as connection:
                connection.sendall(GET + b"Connection: close\r\n\r\n")
                return read_all(connection).startswith(b"HTTP/1.1 200 ")

        assert eventually(served_again)
        held[1].close()
        metrics = httpx.get(f"http://127.0.0.1:{port}/metrics").text
    refused = metrics.split('deepfake_shed_total{reason="connections"} ')[1].split()[0]
    assert float(refused) >= 1
    assert "http_connections " in metrics


def test_a_flood_of_connections_takes_no_more_than_its_bound() -> None:
    with served(settings(connections=5), FakeEngine()) as port, ExitStack() as open_ones:
        flood = []
        for _ in range(150):
            connection = socket.create_connection(("127.0.0.1", port), timeout=10)
            flood.append(open_ones.enter_context(connection))
        with ExitStack() as closing:
            for connection in flood[:5]:
                closing.enter_context(connection)

        def answers() -> bool:
            try:
                return httpx.get(f"http://127.0.0.1:{port}/v2/health/live").status_code == 200
            except httpx.TransportError:
                return False

        assert eventually(answers)


def test_one_address_has_a_share_of_the_connections() -> None:
    chosen = Settings(limits=Limits(connections=6), trusted_proxies="10.0.0.1")
    with served(chosen, FakeEngine()) as port, ExitStack() as open_ones:
        held = [open_ones.enter_context(connected(port)) for _ in range(3)]
        for connection in held:
            connection.sendall(GET + b"\r\n")
            assert live(connection)
        with connected(port) as connection:
            connection.sendall(GET + b"\r\n")
            answer = read_all(connection)
        assert answer.startswith(b"HTTP/1.1 429 ")
        assert code(answer) == "rate_limited"
        held[0].close()

        def served_again() -> bool:
            with connected(port) as connection:
                connection.sendall(GET + b"Connection: close\r\n\r\n")
                return read_all(connection).startswith(b"HTTP/1.1 200 ")

        assert eventually(served_again)


def test_a_trusted_proxy_may_have_all_connections() -> None:
    with served(settings(connections=6), FakeEngine()) as port, ExitStack() as open_ones:
        for _ in range(6):
            connection = open_ones.enter_context(connected(port))
            connection.sendall(GET + b"\r\n")
            assert live(connection)


@pytest.mark.parametrize("ending", [b"", b"Connection: close\r\n"], ids=["keep-alive", "close"])
def test_the_rest_of_an_answer_that_nobody_reads_is_let_go(
    monkeypatch: pytest.MonkeyPatch, ending: bytes
) -> None:
    monkeypatch.setattr(wire, "_UNREAD_SECONDS", 1.0)
    made = wire.Connection.connection_made
    left: list[int] = []
    completed = wire.Connection.on_response_complete

    def narrow(self: wire.Connection, transport: asyncio.Transport) -> None:
        raw = transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2048)
        # The application is never asked to wait.
        transport.set_write_buffer_limits(high=2**20)
        made(self, transport)

    def complete(self: wire.Connection) -> None:
        left.append(self.transport.get_write_buffer_size())
        completed(self)

    monkeypatch.setattr(wire.Connection, "connection_made", narrow)
    monkeypatch.setattr(wire.Connection, "on_response_complete", complete)
    with served(settings(), FakeEngine()) as port, socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        deaf.connect(("127.0.0.1", port))
        deaf.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n" + ending + b"\r\n")

        def alone() -> bool:
            text = httpx.get(f"http://127.0.0.1:{port}/metrics").text
            return bool(left) and "\nhttp_connections 1.0" in text

        assert not alone()
        assert eventually(alone)
    assert 0 < left[0] < 2**20


CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
TINY = b"1\r\nx\r\n" * 100_000


def test_a_body_of_tiny_chunks_is_refused_and_read_in_small_pieces(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sizes: list[int] = []
    received = wire.Connection.data_received

    def watched(self: wire.Connection, data: bytes) -> None:
        sizes.append(len(data))
        received(self, data)

    monkeypatch.setattr(wire.Connection, "data_received", watched)
    engine = FakeEngine()
    with served(settings(), engine) as port, connected(port) as connection:
        connection.sendall(POST + CHUNKED + TINY[:120_000])
        assert code(read_all(connection)) == "malformed_request"
    assert max(sizes) <= 8192
    assert not engine.asked


@pytest.mark.parametrize("size", [1, 100, 10_000])
def test_chunks_of_a_sensible_size_are_read(size: int) -> None:
    chunk = b"%x\r\n%b\r\n" % (size, b"x" * size)
    engine = FakeEngine()
    with served(settings(), engine) as port, connected(port) as connection:
        count = 1000 if size == 1 else 200_000 // size
        connection.sendall(POST + b"Connection: close\r\n" + CHUNKED + chunk * count)
        connection.sendall(b"0\r\n\r\n")
        assert read_all(connection).startswith(b"HTTP/1.1 200 ")
    assert engine.asked[0][0].size == size * count


def test_a_refused_chunked_body_is_not_parsed_and_its_end_is_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    events: list[object] = []
    parse = wire._Parser.next_event

    def counted(self: wire._Parser) -> object:
        events.append(parse(self))
        return events[-1]

    monkeypatch.setattr(wire._Parser, "next_event", counted)
    limits = settings(drain_seconds=60)
    with served(limits, FakeEngine()) as port, connected(port) as connection:
        connection.sendall(b"POST /nope HTTP/1.1\r\nHost: x\r\n" + CHUNKED)
        answer = connection.recv(65536)
        connection.sendall(TINY)
        connection.sendall(b"0\r\n\r\n")
        answer += read_all(connection)
    assert code(answer) == "not_found"
    assert len(events) < 100


def test_a_stream_does_not_swallow_a_body_without_end() -> None:
    engine = FakeEngine(gate=threading.Event())
    with served(settings(drain_bytes=2**20), engine) as port:
        headers = {"Content-Type": "video/mp4", "Prefer": "respond-async"}
        url = f"http://127.0.0.1:{port}/v1/detections"
        path = httpx.post(url, content=b"x", headers=headers).headers["location"]
        with connected(port) as connection:
            head = b"GET %b HTTP/1.1\r\nHost: x\r\n" % path.encode()
            connection.sendall(head + b"Accept: application/x-ndjson\r\n" + CHUNKED)
            assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
            chunk = b"100000\r\n" + b"x" * 2**20 + b"\r\n"
            with pytest.raises(OSError, match=r"reset|pipe"):
                connection.sendall(chunk * 100)


def test_pipelined_requests_are_answered_in_turn() -> None:
    with served(settings(), FakeEngine()) as port, connected(port) as connection:
        body = POST + b"Content-Length: 1\r\n\r\nx"
        connection.sendall(GET + b"\r\n" + body + GET + b"Connection: close\r\n\r\n")
        answer = read_all(connection)
    assert answer.count(b"HTTP/1.1 200 OK\r\n") == 3


def test_metrics_can_have_a_port_of_their_own() -> None:
    other = free_port()
    chosen = Settings(server=ServerSettings(metrics_port=other), limits=Limits())
    with served(chosen, FakeEngine()) as port:
        assert eventually(lambda: _metrics(other).startswith("# HELP"))
        assert httpx.get(f"http://127.0.0.1:{port}/metrics").status_code == 404
        assert httpx.get(f"http://127.0.0.1:{other}/v1/limits").status_code == 404
        assert "deepfake_ready 1.0" in _metrics(other)


def _metrics(port: int) -> str:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/metrics").text
    except httpx.TransportError:
        return ""
