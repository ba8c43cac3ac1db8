"""A real server at work that is told to load other models, or to end."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import httpx
import pytest

from tests import media
from tests.onnx_models import CONTRACT, brightness_model
from tests.security.server_process import ServerProcess, free_port, process
from tests.unit.sandbox.processes import children_of, state_of, until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

OCTETS = {"Content-Type": "application/octet-stream"}


@contextmanager
def serving(folder: Path, drain: float = 30) -> Iterator[ServerProcess]:
    """A server of the model in this folder, which gives its work so many seconds to end."""
    install(folder, "1")
    (folder / "work").mkdir()
    port = free_port()
    command = [sys.executable, "-m", "service", "serve", "--port", str(port)]
    settings = {
        "DEEPFAKE_MODEL__PATH": str(folder / "model.onnx"),
        "DEEPFAKE_SERVER__DRAIN_SECONDS": str(drain),
    }
    with process(command, port, folder / "work", settings) as running:
        yield running


def install(folder: Path, version: str | None) -> None:
    """Put another model in the place of the one that is served; None: what is none."""
    model = brightness_model(CONTRACT.model_copy(update={"version": version}))
    (folder / "next").write_bytes(model if version else b"not a model")
    (folder / "next").replace(folder / "model.onnx")


def told(server: ServerProcess, event: str) -> bool:
    return any(json.loads(line)["event"] == event for line in server.log)


class Load:
    """Clients that ask again and again: when each asked, and what the answer was."""

    def __init__(self, client: httpx.AsyncClient, video: bytes) -> None:
        self._client, self._video = client, video
        self.answers: list[tuple[float, int, str]] = []

    @asynccontextmanager
    async def running(self, clients: int) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(self._ask()) for _ in range(clients)]
        try:
            yield
        finally:
            self._ended = True
            await asyncio.gather(*tasks)

    async def more(self, count: int = 4) -> None:
        """Wait for so many more answers."""
        enough = len(self.answers) + count
        await until(lambda: len(self.answers) >= enough)

    async def _ask(self) -> None:
        self._ended = False
        while not self._ended:
            asked = time.monotonic()
            answer = await self._client.post("/v1/detections", content=self._video, headers=OCTETS)
            version = answer.json().get("model", {}).get("version", "none")
            self.answers.append((asked, answer.status_code, version))


async def test_models_are_replaced_under_load_and_nobody_notices(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
            load = Load(client, media.group_video(10))
            async with load.running(3):
                await load.more()
                install(tmp_path, "2")
                server.signal(signal.SIGHUP)
                await until(lambda: told(server, "reloaded"))
                switched = time.monotonic()
                await load.more()
                install(tmp_path, None)
                server.signal(signal.SIGHUP)
                await until(lambda: told(server, "reload failed"))
                await load.more()
            shown = (await client.get("/metrics")).text
    assert {status for _, status, _ in load.answers} == {200}
    assert {version for _, _, version in load.answers} == {"1", "2"}
    assert {version for asked, _, version in load.answers if asked > switched} == {"2"}
    assert 'deepfake_model_info{fallback="false",model="brightness",' in shown
    assert 'version="2"} 1.0' in shown.partition("deepfake_model_info{")[2].partition("\n")[0]


@pytest.mark.parametrize(
    ("frames", "drain", "outcome"), [(25, 30, (200, None)), (400, 1, (503, "not_ready"))]
)
async def test_a_server_that_is_told_to_end_while_it_reads_ends(
    tmp_path: Path, frames: int, drain: float, outcome: tuple[int, str | None]
) -> None:
    """What can be finished in time is, the rest is told; status 0, and no process stays."""
    video = media.group_video(frames)
    with serving(tmp_path, drain) as server:
        (nursery,) = children_of(server.pid)
        async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
            asked = asyncio.create_task(
                client.post("/v1/detections", content=video, headers=OCTETS)
            )
            await until(lambda: children_of(nursery))
            readers = children_of(nursery)
            began = time.monotonic()
            server.signal(signal.SIGTERM)
            answer = await asked
        assert await asyncio.to_thread(server.ended, 30) == 0
        assert time.monotonic() - began < drain + 5
    assert (answer.status_code, answer.json().get("code")) == outcome
    assert [state_of(pid) for pid in (nursery, *readers)] == ["", ""]
    assert list((tmp_path / "work").rglob("*")) == []
    assert not [line for line in server.log if "Traceback" in line or '"exception"' in line]
