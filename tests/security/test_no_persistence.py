"""No upload ever touches a disk: measured from outside, on a server in its own process."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests import media
from tests.onnx_models import brightness_model
from tests.security.server_process import ServerProcess, free_port, process

pytestmark = pytest.mark.skipif(
    not os.access("/proc/self/io", os.R_OK), reason="needs Linux's /proc/PID/io"
)

SIZES = [3_000_000, 50_000_000]


def served(folder: Path, *prefix: str) -> Iterator[ServerProcess]:
    model = folder / "brightness.onnx"
    model.write_bytes(brightness_model())
    work = folder / "work"
    work.mkdir()
    port = free_port()
    command = [*prefix, sys.executable, "-m", "service", "serve", "--port", str(port)]
    with process(command, port, work, {"DEEPFAKE_MODEL__PATH": str(model)}) as server:
        yield server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    yield from served(tmp_path_factory.mktemp("server"))


@pytest.fixture(scope="module")
def forbidden_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server whose every write to a file fails."""
    prefix = ("sh", "-c", 'ulimit -f 0 && exec "$@"', "sh")
    yield from served(tmp_path_factory.mktemp("forbidden"), *prefix)


@pytest.fixture(scope="module")
def spilling_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("spilling")
    port = free_port()
    command = [sys.executable, "-m", "tests.security.spilling", str(port)]
    with process(command, port, folder, {}) as server:
        yield server


@pytest.fixture(scope="module")
def video() -> bytes:
    return media.group_video(6)


def upload(server: ServerProcess, data: bytes, *, form: bool) -> httpx.Response:
    url = f"{server.url}/v1/detections"
    if form:
        return httpx.post(url, files={"file": ("video.mp4", data)}, timeout=60)
    return httpx.post(url, content=data, headers={"Content-Type": "video/mp4"}, timeout=60)


@pytest.mark.parametrize("form", [True, False], ids=["form", "raw"])
@pytest.mark.parametrize("size", SIZES)
def test_a_scored_upload_leaves_nothing(
    server: ServerProcess, video: bytes, size: int, form: bool
) -> None:
    with server.watched() as trace:
        response = upload(server, media.padded(video, size), form=form)
    assert response.status_code == 200
    assert response.json()["media"]["bytes"] == size
    assert len(response.json()["faces"]) == 6
    print(f"{size} bytes: {trace}")
    assert trace.clean, trace


@pytest.mark.parametrize("form", [True, False], ids=["form", "raw"])
@pytest.mark.parametrize("size", SIZES)
def test_a_refused_upload_leaves_nothing(server: ServerProcess, size: int, form: bool) -> None:
    with server.watched() as trace:
        response = upload(server, bytes(size), form=form)
    assert response.json()["code"] == "undecodable"
    assert trace.clean, trace


def test_it_works_where_no_file_can_be_written(
    forbidden_server: ServerProcess, video: bytes
) -> None:
    assert forbidden_server.limit("Max file size") == ["0", "0"]
    response = upload(forbidden_server, media.padded(video, SIZES[0]), form=True)
    assert response.status_code == 200


def test_a_crash_would_leave_no_core_dump(server: ServerProcess) -> None:
    assert server.limit("Max core file size") == ["1", "1"]


@pytest.mark.parametrize("size", SIZES)
def test_the_check_sees_a_server_that_spools(spilling_server: ServerProcess, size: int) -> None:
    with spilling_server.watched() as trace:
        response = upload(spilling_server, bytes(size), form=True)
    assert response.json() == {"parts": 1}
    print(f"{size} bytes: {trace}")
    assert not trace.clean
    assert trace.opened
    assert trace.written >= size
