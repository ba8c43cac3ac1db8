"""A real server whose workers are killed and whose clients go away."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from service.registry import BUILT_IN_MODEL
from tests import media
from tests.security.server_process import ServerProcess, free_port, process
from tests.unit.sandbox.processes import children_of, state_of, until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

OCTETS = {"Content-Type": "application/octet-stream"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    port = free_port()
    command = [sys.executable, "-m", "service", "serve", "--port", str(port)]
    settings = {
        "DEEPFAKE_MODEL__PATH": str(BUILT_IN_MODEL),
        "DEEPFAKE_LIMITS__CONCURRENCY": "2",
        "DEEPFAKE_LIMITS__WAITING": "8",
    }
    with process(command, port, tmp_path_factory.mktemp("server"), settings) as running:
        yield running


@pytest.fixture(scope="module")
def long_video() -> bytes:
    return media.group_video(25 * 30)


@pytest.fixture(scope="module")
def short_video() -> bytes:
    return media.group_video(10)


@pytest.fixture
async def client(server: ServerProcess) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=server.url, timeout=120) as session:
        yield session


def readers(server: ServerProcess) -> list[int]:
    """Processes that read a video now: what the nursery, a child of the server, has forked."""
    nurseries = [pid for pid in children_of(server.pid) if state_of(pid) != "Z"]
    return [
        pid for nursery in nurseries for pid in children_of(nursery) if state_of(pid) not in "Z"
    ]


async def load(client: httpx.AsyncClient) -> dict[str, float]:
    """What the server says it holds."""
    text = (await client.get("/metrics")).text
    pairs = [line.rsplit(maxsplit=1) for line in text.splitlines() if not line.startswith("#")]
    names = ("running", "waiting")
    found = {name: float(value) for name, value in pairs}
    return {name: found[f"deepfake_requests_{name}"] for name in names} | {
        "held": found["deepfake_videos_held"],
        "bytes": found["deepfake_media_bytes"],
        "clips": found["deepfake_clips_waiting"],
    }


NOTHING = {"running": 0, "waiting": 0, "held": 0, "bytes": 0, "clips": 0}


def score(client: httpx.AsyncClient, video: bytes) -> asyncio.Task[httpx.Response]:
    return asyncio.create_task(client.post("/v1/detections", content=video, headers=OCTETS))


async def test_a_killed_worker_fails_its_own_request_alone(
    server: ServerProcess, client: httpx.AsyncClient, long_video: bytes, short_video: bytes
) -> None:
    doomed = score(client, long_video)
    await until(lambda: len(readers(server)) == 1)
    (victim,) = readers(server)
    other = score(client, short_video)
    await until(lambda: len(readers(server)) == 2)
    os.kill(victim, signal.SIGKILL)
    failed = await doomed
    assert (failed.status_code, failed.json()["code"]) == (500, "worker_lost")
    began = time.monotonic()
    following = await client.get("/v2/health/ready")
    assert following.status_code == 200
    again = score(client, short_video)
    await until(lambda: len(readers(server)) >= 1 or again.done(), 2.0)
    assert time.monotonic() - began < 2
    assert [(await each).status_code for each in (other, again)] == [200, 200]
    assert await load(client) == NOTHING


@pytest.mark.parametrize("moment", ["uploading", "queued", "reading"])
async def test_a_client_that_goes_away_leaves_nothing_behind(
    server: ServerProcess,
    client: httpx.AsyncClient,
    long_video: bytes,
    moment: str,
) -> None:
    held: list[asyncio.Task[httpx.Response]] = []
    if moment == "queued":
        held = [score(client, long_video) for _ in range(2)]
        await until(lambda: len(readers(server)) == 2)
    before = len(readers(server))
    arrived = asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield long_video[:100_000]
        arrived.set()
        if moment == "uploading":
            await asyncio.sleep(60)
        yield long_video[100_000:]

    going = asyncio.create_task(client.post("/v1/detections", content=slowly(), headers=OCTETS))
    await arrived.wait()
    if moment == "reading":
        await until(lambda: len(readers(server)) == before + 1)
    elif moment == "queued":
        async with asyncio.timeout(20):
            while (await load(client))["held"] < 3:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    for task in (going, *held):
        task.cancel()
    await asyncio.gather(going, *held, return_exceptions=True)
    began = time.monotonic()
    async with asyncio.timeout(10):
        while await load(client) != NOTHING or readers(server):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert time.monotonic() - began < 2
    assert not [line for line in server.log if "Traceback" in line or '"exception"' in line]


async def test_no_process_stays_as_a_zombie(
    server: ServerProcess, client: httpx.AsyncClient, short_video: bytes
) -> None:
    for _ in range(5):
        assert (await score(client, short_video)).status_code == 200
        assert (await score(client, b"no video")).status_code == 422
    await asyncio.sleep(0.2)
    nurseries = children_of(server.pid)
    everything = [*nurseries, *(pid for each in nurseries for pid in children_of(each))]
    assert [state_of(pid) for pid in everything].count("Z") == 0
    assert readers(server) == []
