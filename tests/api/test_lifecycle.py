"""Signals, seen from outside of a server in its own process."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.api.client import OCTETS, problem
from tests.api.wire import POST, code, connected, eventually, read_all
from tests.security.server_process import REPOSITORY, ServerProcess, free_port, process


@contextmanager
def server(folder: Path, *arguments: str, **settings: str) -> Iterator[ServerProcess]:
    port = free_port()
    command = [sys.executable, "-m", "tests.api.fake_server", str(port), *arguments]
    with process(command, port, folder, {f"DEEPFAKE_{k}": v for k, v in settings.items()}) as it:
        yield it


def held(running: ServerProcess, count: int) -> Callable[[], bool]:
    """Whether so many videos are held."""
    line = f"deepfake_videos_held {count}.0"
    return lambda: line in httpx.get(f"{running.url}/metrics").text


def post(running: ServerProcess, **headers: str) -> httpx.Response:
    address = f"{running.url}/v1/detections"
    return httpx.post(address, content=b"x", headers=OCTETS | headers, timeout=30)


def test_what_was_taken_is_finished_and_nothing_new_is_taken(tmp_path: Path) -> None:
    with server(tmp_path) as running, ThreadPoolExecutor() as clients:
        in_flight = clients.submit(post, running)
        assert eventually(held(running, 1))
        running.signal(signal.SIGTERM)
        assert eventually(lambda: httpx.get(f"{running.url}/health").status_code == 503)
        ready = httpx.get(f"{running.url}/v2/health/ready")
        assert "draining" in problem(ready, 503, "not_ready")["detail"]
        assert httpx.get(f"{running.url}/v2/health/live").status_code == 200
        refused = post(running)
        problem(refused, 503, "not_ready")
        assert "retry-after" in refused.headers
        running.signal(signal.SIGUSR1)
        assert in_flight.result(20).status_code == 200
        assert running.ended(20) == 0
    assert any('"event": "drained"' in line for line in running.log)


def test_an_idle_server_ends_at_once(tmp_path: Path) -> None:
    with server(tmp_path) as running, socket.create_connection(address(running)) as idle:
        running.signal(signal.SIGTERM)
        assert running.ended(20) == 0
        assert idle.recv(1) == b""


def address(running: ServerProcess) -> tuple[str, int]:
    return "127.0.0.1", int(running.url.rpartition(":")[2])


def test_nothing_that_hangs_outlasts_the_grace(tmp_path: Path) -> None:
    with server(tmp_path, SERVER__DRAIN_SECONDS="1") as running, ThreadPoolExecutor() as clients:
        port = address(running)[1]
        with connected(port) as upload, connected(port) as stream:
            upload.sendall(POST + b"Content-Length: 1000\r\n\r\nx")
            accept = b"Accept: text/event-stream\r\n"
            stream.sendall(POST + accept + b"Content-Length: 1\r\n\r\nx")
            waiting = clients.submit(post, running)
            assert eventually(held(running, 3))
            began = time.monotonic()
            running.signal(signal.SIGTERM)
            assert running.ended(30) == 0
            # One second to drain, two for connections, the rest for a busy machine.
            assert time.monotonic() - began < 15
            events = read_all(stream)
            assert events.startswith(b"HTTP/1.1 200 ")
            assert b"event: error\r\n" in events.replace(b"\n", b"\r\n")
            assert b'"code":"not_ready"' in events
            problem(waiting.result(5), 503, "not_ready")
            assert code(read_all(upload)) == "not_ready"
    assert not [line for line in running.log if "Exception in ASGI" in line]


def test_a_second_signal_ends_it_now(tmp_path: Path) -> None:
    with server(tmp_path) as running, connected(address(running)[1]) as upload:
        upload.sendall(POST + b"Content-Length: 1000\r\n\r\nx")
        assert eventually(held(running, 1))
        running.signal(signal.SIGTERM)
        assert eventually(lambda: httpx.get(f"{running.url}/health").status_code == 503)
        assert running.running
        running.signal(signal.SIGTERM)
        assert running.ended(20) == -signal.SIGTERM


def test_a_result_that_nobody_has_seen_is_waited_for(tmp_path: Path) -> None:
    with server(tmp_path) as running:
        running.signal(signal.SIGUSR1)
        path = post(running, Prefer="respond-async").headers["location"]
        assert eventually(held(running, 0))
        running.signal(signal.SIGTERM)
        assert eventually(lambda: httpx.get(f"{running.url}/health").status_code == 503)
        assert running.running
        assert httpx.get(running.url + path).json()["status"] == "done"
        assert running.ended(20) == 0


def test_who_follows_a_job_keeps_nobody_waiting(tmp_path: Path) -> None:
    with server(tmp_path) as running, ThreadPoolExecutor() as clients:
        path = post(running, Prefer="respond-async").headers["location"]
        accept = {"Accept": "application/x-ndjson"}
        follower = clients.submit(httpx.get, running.url + path, headers=accept, timeout=30)
        assert eventually(lambda: "http_connections 2.0" in metrics(running))
        running.signal(signal.SIGTERM)
        running.signal(signal.SIGUSR1)
        assert json.loads(follower.result(20).text.splitlines()[-1])["event"] == "report"
        # Far under the 30 seconds for results that nobody has seen.
        assert running.ended(20) == 0


def metrics(running: ServerProcess) -> str:
    return httpx.get(f"{running.url}/metrics").text


@pytest.mark.parametrize(("arguments", "event"), [([], "reloaded"), (["fails"], "reload failed")])
def test_models_are_loaded_anew_while_requests_go_on(
    tmp_path: Path, arguments: list[str], event: str
) -> None:
    with server(tmp_path, *arguments) as running, ThreadPoolExecutor() as clients:
        in_flight = clients.submit(post, running)
        assert eventually(held(running, 1))
        running.signal(signal.SIGHUP)

        def told() -> list[dict[str, object]]:
            lines = [json.loads(line) for line in running.log if line.startswith("{")]
            return [line for line in lines if line["event"] == event]

        assert eventually(lambda: bool(told()))
        running.signal(signal.SIGUSR1)
        assert in_flight.result(20).status_code == 200
        assert httpx.get(f"{running.url}/health").status_code == 200
        if arguments:
            assert told()[0]["reason"] == "the model is broken"
        else:
            assert told()[0]["models"] == [
                {"name": "clrnet", "sha256": "0" * 64},
                {"name": "mesonet", "sha256": "1" * 64},
            ]


LOGS = "from service import hardening, logs; logs.configure(); hardening.forbid_files()"


@pytest.mark.parametrize(("limit", "warned"), [("0", True), ("unlimited", False)])
def test_a_log_that_nobody_will_read_is_told_of(tmp_path: Path, limit: str, warned: bool) -> None:
    with (tmp_path / "log").open("wb") as log:
        done = subprocess.run(
            ["sh", "-c", f'ulimit -f {limit} && exec "$@"', "sh", sys.executable, "-c", LOGS],
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            stderr=log,
            check=True,
        )
    assert (b"the log is lost" in done.stdout) == warned


SERVE = """
import ctypes, resource
from service import server
from service.settings import Settings
dumpable = lambda _: print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))
server.Server.run = dumpable
server.run(Settings(), "127.0.0.1", 0)
print(resource.getrlimit(resource.RLIMIT_CORE))
"""


def test_the_process_can_be_neither_dumped_nor_looked_into() -> None:
    command = [sys.executable, "-c", SERVE]
    printed = subprocess.run(command, cwd=REPOSITORY, check=True, stdout=subprocess.PIPE).stdout
    assert printed == b"0\n(1, 1)\n"
