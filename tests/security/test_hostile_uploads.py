"""Playlists and scripts under names that would open them, to a real server: it opens nothing."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from tests.onnx_models import brightness_model
from tests.security import hostile_media
from tests.security.bait import Planted, canary_at_a_port
from tests.security.server_process import SEEN, ServerProcess, free_port, process

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes in /proc")

NAMES = ("x.m3u8", "x.ffconcat", "x.sdp", None)
"""Of the file in a form; None: the bare bytes."""
SCRIPTS = tuple(hostile_media.scripts(Path("/planted"), 1))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("uploads")
    (folder / "model.onnx").write_bytes(brightness_model())
    (folder / "work").mkdir()
    port = free_port()
    command = [*SEEN, sys.executable, "-m", "service", "serve", "--port", str(port)]
    settings = {"DEEPFAKE_MODEL__PATH": str(folder / "model.onnx")}
    with process(command, port, folder / "work", settings) as running:
        yield running


@pytest.fixture
def planted(tmp_path: Path) -> Iterator[Planted]:
    with closing(Planted(tmp_path / "planted.mp4")) as made:
        yield made


@pytest.mark.parametrize("script", SCRIPTS)
async def test_a_script_is_refused_under_whatever_name(
    server: ServerProcess, planted: Planted, script: str
) -> None:
    async with canary_at_a_port() as canary, httpx.AsyncClient(base_url=server.url) as client:
        data = hostile_media.scripts(planted.path, canary.port)[script]
        with server.watched() as trace:
            answers = [await upload(client, data, name) for name in NAMES]
        assert not await canary.sang()
    assert not planted.opened()
    assert trace.clean, trace
    for answer in answers:
        assert (answer.status_code, answer.json()["code"]) == (422, "undecodable")
        for word in ("127.0.0.1", "planted", str(planted.path.parent)):
            assert word not in answer.json()["detail"]


async def upload(client: httpx.AsyncClient, data: bytes, name: str | None) -> httpx.Response:
    if name is None:
        return await client.post(
            "/v1/detections", content=data, headers={"Content-Type": "video/mp4"}
        )
    form = {"file": (name, data, "application/vnd.apple.mpegurl")}
    return await client.post("/v1/detections", files=form)
