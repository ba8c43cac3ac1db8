"""No upload ever touches a disk: measured from outside, on a server in its own process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests import media
from tests.onnx_models import brightness_model
from tests.security.server_process import SEEN, ServerProcess, free_port, process

Way = Callable[[str, bytes], dict[str, Any]]

pytestmark = pytest.mark.skipif(
    not os.access("/proc/self/io", os.R_OK), reason="needs Linux's /proc/PID/io"
)

SIZES = [3_000_000, 50_000_000]
ALL_SIZES = [500_000, 2_000_000, 50_000_000, 200_000_000]

READ_ONLY = """
for point in $(awk '{print $2}' /proc/self/mounts | sort -u); do
    case $point in /proc*|/sys*) continue ;; esac
    kept=$(awk -v point="$point" '$2 == point {options = $4} END {print options}' \
        /proc/self/mounts | tr ',' '\\n' | grep -E '^(nosuid|nodev|noexec|.*atime)$' | paste -sd,)
    mount -o "remount,bind,ro${kept:+,$kept}" "$point" || exit 1
done
for folder in / /tmp /dev/shm "$TMPDIR"; do
    if touch "$folder/probe" 2>/dev/null; then exit 2; fi
done
exec "$@"
"""
"""Runs a command where nothing can be written: every file system is mounted read-only."""


def served(folder: Path, *prefix: str) -> Iterator[ServerProcess]:
    model = folder / "brightness.onnx"
    model.write_bytes(brightness_model())
    work = folder / "work"
    work.mkdir()
    port = free_port()
    command = [*SEEN, *prefix, sys.executable, "-m", "service", "serve", "--port", str(port)]
    with process(command, port, work, {"DEEPFAKE_MODEL__PATH": str(model)}) as server:
        yield server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that leaves itself able to write files, since its output goes to one."""
    prefix = ("sh", "-c", 'exec "$@" >../output', "sh")
    yield from served(tmp_path_factory.mktemp("server"), *prefix)


@pytest.fixture(scope="module")
def forbidden_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server as it is started everywhere else: its every write to a file fails."""
    yield from served(tmp_path_factory.mktemp("forbidden"))


@pytest.fixture(scope="module")
def read_only_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server in a namespace of its own, where all that is mounted is read-only."""
    own = ["unshare", "--user", "--map-root-user", "--mount"]
    if subprocess.run([*own, "true"], stderr=subprocess.DEVNULL).returncode:
        pytest.skip("needs user namespaces")
    yield from served(tmp_path_factory.mktemp("read_only"), *own, "sh", "-c", READ_ONLY, "sh")


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


def by_form(url: str, data: bytes) -> dict[str, Any]:
    return report(httpx.post(url, files={"file": ("video.mp4", data)}, timeout=120))


def by_bytes(url: str, data: bytes) -> dict[str, Any]:
    return report(httpx.post(url, content=data, headers=MP4, timeout=120))


def in_chunks(url: str, data: bytes) -> dict[str, Any]:
    view = memoryview(data)
    pieces = (bytes(view[at : at + 100_000]) for at in range(0, len(data), 100_000))
    return report(httpx.post(url, content=pieces, headers=MP4, timeout=120))


def as_stream(url: str, data: bytes) -> dict[str, Any]:
    headers = MP4 | {"Accept": "application/x-ndjson"}
    response = httpx.post(url, content=data, headers=headers, timeout=120)
    last: dict[str, Any] = json.loads(response.text.splitlines()[-1])["report"]
    return last


def as_job(url: str, data: bytes) -> dict[str, Any]:
    headers = MP4 | {"Prefer": "respond-async"}
    response = httpx.post(url, content=data, headers=headers, timeout=120)
    assert response.status_code == 202
    deadline = time.monotonic() + 120
    while True:
        job = httpx.get(httpx.URL(url).join(response.headers["location"])).json()
        if job["status"] in ("done", "failed"):
            found: dict[str, Any] = job["report"]
            return found
        assert time.monotonic() < deadline
        time.sleep(0.1)


def report(response: httpx.Response) -> dict[str, Any]:
    assert response.status_code == 200, response.text
    document: dict[str, Any] = response.json()
    return document


MP4 = {"Content-Type": "video/mp4"}
WAYS = [by_form, by_bytes, in_chunks, as_stream, as_job]


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("size", ALL_SIZES)
def test_every_way_works_where_no_file_can_be_written(
    forbidden_server: ServerProcess, video: bytes, size: int, way: Way
) -> None:
    with forbidden_server.watched() as trace:
        found = way(f"{forbidden_server.url}/v1/detections", media.padded(video, size))
    assert found["media"]["bytes"] == size
    assert len(found["faces"]) == 6
    assert trace.clean, trace


def test_a_server_forbids_itself_all_files(forbidden_server: ServerProcess) -> None:
    assert forbidden_server.limits("Max file size") == [["0", "0"]] * 2, "of service and nursery"
    assert not events(forbidden_server.log, "files can be written")


def test_a_log_that_goes_to_a_file_goes_on(server: ServerProcess, tmp_path: Path) -> None:
    assert server.limits("Max file size")[0] != ["0", "0"]
    assert len(events(server.log, "files can be written")) == 1
    prefix = ("sh", "-c", 'exec "$@" 2>../errors', "sh")
    with contextmanager(served)(tmp_path, *prefix) as other:
        assert upload(other, b"no video", form=False).status_code == 422
        log = (tmp_path / "errors").read_text().splitlines()
    assert len(events(log, "files can be written")) == 1
    assert events(log, "request")


def events(log: list[str], name: str) -> list[str]:
    """The lines of a log that tell of this."""
    return [line for line in log if json.loads(line)["event"].startswith(name)]


@pytest.mark.parametrize("way", WAYS)
def test_no_way_leaves_anything_where_files_can_be_written(
    server: ServerProcess, video: bytes, way: Way
) -> None:
    with server.watched() as trace:
        found = way(f"{server.url}/v1/detections", media.padded(video, ALL_SIZES[1]))
    assert len(found["faces"]) == 6
    assert trace.clean, trace


@pytest.mark.parametrize("way", WAYS)
def test_every_way_works_where_everything_is_read_only(
    read_only_server: ServerProcess, video: bytes, way: Way
) -> None:
    found = way(f"{read_only_server.url}/v1/detections", media.padded(video, ALL_SIZES[1]))
    assert len(found["faces"]) == 6


def test_a_crash_would_leave_no_core_dump(server: ServerProcess) -> None:
    assert server.limits("Max core file size")[0] == ["1", "1"]


@pytest.mark.parametrize("size", SIZES)
def test_the_check_sees_a_server_that_spools(spilling_server: ServerProcess, size: int) -> None:
    with spilling_server.watched() as trace:
        response = upload(spilling_server, bytes(size), form=True)
    assert response.json() == {"parts": 1}
    print(f"{size} bytes: {trace}")
    assert not trace.clean
    assert trace.opened
    assert trace.sockets
    assert trace.written >= size
