"""Calls at the end of a job, from a real server to a receiver on a real port."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests import media
from tests.e2e.receiver import HOST, Call, Receiver, receiver
from tests.onnx_models import brightness_model
from tests.origin.running import RunningSite, running_site
from tests.security.server_process import ServerProcess, free_port, process

OCTETS = {"Content-Type": "application/octet-stream"}
LATER = OCTETS | {"Prefer": "respond-async"}
SECRET = "a secret of callers that is long enough"
PAUSE = 0.2
ATTEMPTS = 3
CANARY = "canary9b2e"


@pytest.fixture(scope="module")
def called() -> Iterator[Receiver]:
    with receiver() as running:
        yield running


@pytest.fixture(scope="module")
def late() -> int:
    """A port where nobody listens yet."""
    return free_port()


@contextmanager
def serving(folder: Path, *ports: int, **changes: str) -> Iterator[ServerProcess]:
    model = folder / "brightness.onnx"
    model.write_bytes(brightness_model())
    port = free_port()
    command = [sys.executable, "-m", "service", "serve", "--port", str(port)]
    settings = {
        "DEEPFAKE_MODEL__PATH": str(model),
        "DEEPFAKE_FETCH__LOOPBACK": "true",
        "DEEPFAKE_FETCH__PORTS": json.dumps(ports),
        "DEEPFAKE_FETCH__IDLE_SECONDS": "2",
        "DEEPFAKE_SERVER__DRAIN_SECONDS": "1",
        "DEEPFAKE_WEBHOOK__SECRET": SECRET,
        "DEEPFAKE_WEBHOOK__PAUSE_SECONDS": str(PAUSE),
        "DEEPFAKE_WEBHOOK__ATTEMPTS": str(ATTEMPTS),
    }
    with process(command, port, folder, settings | changes) as running:
        yield running


@pytest.fixture(scope="module")
def site() -> Iterator[RunningSite]:
    with running_site() as running:
        yield running


@pytest.fixture(scope="module")
def server(
    called: Receiver, late: int, site: RunningSite, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerProcess]:
    with serving(tmp_path_factory.mktemp("server"), called.port, late, site.port) as running:
        yield running


@pytest.fixture(scope="module")
def video() -> bytes:
    return media.group_video(10)


def post(server: ServerProcess, content: bytes, callback: str, **headers: str) -> httpx.Response:
    return httpx.post(
        f"{server.url}/v1/detections",
        content=content,
        headers=headers or LATER,
        params={"callback": callback},
        timeout=60,
    )


def job(server: ServerProcess, content: bytes, callback: str) -> str:
    """The path of a new job."""
    taken = post(server, content, callback)
    assert taken.status_code == 202, taken.text
    return taken.headers["location"]


def genuine(call: Call) -> dict[str, Any]:
    """What a call says, once its signature is found to be the secret's."""
    match = re.fullmatch(r"t=(\d+),v1=([0-9a-f]{64})", call.headers["x-deepfake-signature"])
    assert match is not None
    text = match[1].encode() + b"." + call.body
    assert hmac.compare_digest(
        hmac.new(SECRET.encode(), text, hashlib.sha256).hexdigest(), match[2]
    )
    assert abs(int(match[1]) - time.time()) < 60
    said: dict[str, Any] = json.loads(call.body)
    return said


def test_the_end_of_a_job_is_told_once_and_signed(
    server: ServerProcess, called: Receiver, video: bytes
) -> None:
    path = job(server, video, called.url("/done"))
    (call,) = called.wait("/done")
    said = genuine(call)
    assert (call.method, call.headers["content-type"]) == ("POST", "application/json")
    assert (said["id"], said["status"]) == (path.rpartition("/")[2], "done")
    assert said["problem"] is None
    # Whoever is called learns that there is a report, not what it says.
    assert set(said) == {"id", "status", "progress", "problem"}
    state = httpx.get(server.url + path).json()
    assert state["status"] == "done"
    assert state["report"]["verdict"] not in call.body.decode()
    time.sleep(2 * PAUSE)
    assert len(called.of("/done")) == 1


def test_so_is_its_failure_with_the_problem(server: ServerProcess, called: Receiver) -> None:
    path = job(server, b"no video at all", called.url("/failed"))
    said = genuine(called.wait("/failed")[0])
    assert (said["id"], said["status"]) == (path.rpartition("/")[2], "failed")
    assert (said["problem"]["code"], said["problem"]["status"]) == ("undecodable", 422)
    assert said["problem"] == httpx.get(server.url + path).json()["problem"]


@pytest.mark.parametrize(("behaviour", "status"), [("ranges", "done"), ("missing", "failed")])
def test_where_the_video_was_is_not_told(
    server: ServerProcess,
    called: Receiver,
    site: RunningSite,
    video: bytes,
    behaviour: str,
    status: str,
) -> None:
    site.put(video, CANARY)
    taken = httpx.post(
        f"{server.url}/v1/detections",
        json={"url": site.url(behaviour, CANARY)},
        headers={"Prefer": "respond-async"},
        params={"callback": called.url(f"/by-url/{status}")},
    )
    assert taken.status_code == 202
    (call,) = called.wait(f"/by-url/{status}")
    assert genuine(call)["status"] == status
    for word in (CANARY, "http:", str(site.port), str(called.port)):
        assert word not in call.body.decode()


def test_a_receiver_that_fails_is_called_again_with_growing_pauses(
    server: ServerProcess, called: Receiver, video: bytes
) -> None:
    called.answers["/busy"] = (500, 503, 200)
    job(server, video, called.url("/busy"))
    calls = called.wait("/busy", 3)
    assert len({genuine(call)["id"] for call in calls}) == 1
    pauses = [later.time - earlier.time for earlier, later in pairwise(calls)]
    assert PAUSE <= pauses[0] < 4 * PAUSE <= pauses[1]


def test_it_is_given_up_after_the_last_attempt(
    server: ServerProcess, called: Receiver, video: bytes
) -> None:
    called.answers["/broken"] = (500,)
    job(server, video, called.url("/broken"))
    called.wait("/broken", ATTEMPTS)
    logged(server, "webhook given up")
    assert len(called.of("/broken")) == ATTEMPTS


def logged(server: ServerProcess, words: str) -> None:
    deadline = time.monotonic() + 10
    while not any(words in line for line in server.log):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_receiver_that_is_not_there_yet_is_called_again(
    server: ServerProcess, late: int, video: bytes
) -> None:
    job(server, video, f"http://{HOST}:{late}/late")
    deadline = time.monotonic() + 30
    while httpx.get(f"{server.url}/metrics").text.count("deepfake_videos_held 0.0") == 0:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    time.sleep(PAUSE / 4)
    with receiver(late) as found:
        assert genuine(found.wait("/late")[0])["status"] == "done"


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_no_redirect_is_followed(
    server: ServerProcess, called: Receiver, video: bytes, status: int
) -> None:
    called.answers[f"/moved/{status}"] = (status,)
    job(server, video, called.url(f"/moved/{status}"))
    called.wait(f"/moved/{status}")
    time.sleep(2 * PAUSE)
    assert len(called.of(f"/moved/{status}")) == 1
    assert not called.of("/elsewhere")


class Canary:
    """Somebody at another address of loopback, whom nobody may reach."""

    def __init__(self) -> None:
        self.connections = 0
        self._socket = socket.create_server(("127.0.0.2", 0))
        self.port: int = self._socket.getsockname()[1]
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                self._socket.accept()[0].close()
            except OSError:
                return
            self.connections += 1

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


@pytest.fixture
def canary() -> Iterator[Canary]:
    found = Canary()
    yield found
    found.close()


def test_the_canary_can_be_reached(canary: Canary) -> None:
    socket.create_connection(("127.0.0.2", canary.port)).close()
    time.sleep(0.1)
    assert canary.connections == 1


def test_nobody_inside_is_called(canary: Canary, video: bytes, tmp_path: Path) -> None:
    with serving(tmp_path, canary.port, 80) as server:
        for url in (
            f"http://127.0.0.2:{canary.port}/",
            f"http://0x7f000002:{canary.port}/",
            f"http://[::ffff:127.0.0.2]:{canary.port}/",
            "http://10.0.0.1/",
            "http://169.254.169.254/latest/meta-data/",
            f"http://user@127.0.0.1:{canary.port}/",
            "file:///etc/passwd",
            "words",
        ):
            response = post(server, video, url)
            assert (response.status_code, response.json()["code"]) == (422, "url_blocked"), url
        held = httpx.get(f"{server.url}/metrics").text
    assert "deepfake_jobs_held 0.0" in held
    assert not canary.connections


def test_only_a_job_has_an_end_to_be_told(
    server: ServerProcess, called: Receiver, video: bytes
) -> None:
    for headers in (OCTETS, LATER | {"Accept": "application/x-ndjson"}):
        response = post(server, video, called.url("/waited"), **headers)
        assert (response.status_code, response.json()["code"]) == (400, "malformed_request")
        assert "respond-async" in response.json()["detail"]
    assert not called.of("/waited")


def test_without_a_secret_nobody_is_called(called: Receiver, video: bytes, tmp_path: Path) -> None:
    with serving(tmp_path, called.port, DEEPFAKE_WEBHOOK__SECRET="") as server:
        response = post(server, video, called.url("/unsigned"))
    assert (response.status_code, response.json()["code"]) == (400, "malformed_request")
    assert not called.of("/unsigned")


def test_calls_that_are_not_delivered_do_not_keep_the_service(
    called: Receiver, video: bytes, tmp_path: Path
) -> None:
    """One is not answered, the other pauses before its next attempt."""
    called.answers |= {"/silent": (0,), "/pausing": (500,)}
    changes = {"DEEPFAKE_WEBHOOK__PAUSE_SECONDS": "60", "DEEPFAKE_FETCH__IDLE_SECONDS": "60"}
    with serving(tmp_path, called.port, **changes) as server:
        paths = [job(server, video, called.url(path)) for path in ("/silent", "/pausing")]
        called.wait("/silent")
        called.wait("/pausing")
        for path in paths:
            assert httpx.get(server.url + path).json()["status"] == "done"
        began = time.monotonic()
        server.signal(signal.SIGTERM)
        try:
            server.ended(20)
        except subprocess.TimeoutExpired:
            pytest.fail("it waits for its calls")
        assert time.monotonic() - began < 5


def test_no_url_and_no_secret_is_logged(
    server: ServerProcess, called: Receiver, video: bytes
) -> None:
    called.answers[f"/{CANARY}"] = (500,)
    job(server, video, called.url(f"/{CANARY}"))
    called.wait(f"/{CANARY}", ATTEMPTS)
    post(server, video, f"http://10.0.0.1/{CANARY}")
    logged(server, "webhook given up")
    told = [line for line in server.log if CANARY in line or SECRET in line]
    assert not [*told, *(line for line in server.log if str(called.port) in line)]
