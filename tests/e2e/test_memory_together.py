"""A real server on which several videos want more memory than all of them may have."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import httpx
import pytest

from service.sandbox.ration import available, held
from tests import media
from tests.onnx_models import brightness_model
from tests.security import hostile_media
from tests.security.server_process import ServerProcess, free_port, process
from tests.unit.sandbox.processes import children_of

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

OCTETS = {"Content-Type": "application/octet-stream"}
TOGETHER = 2**30
OVERSHOOT = 200 * 2**20


def held_by_readers(server: ServerProcess) -> int:
    """Bytes that all of them hold beyond what each has in common with its nursery."""
    return sum(
        max(0, held(pid) - held(nursery))
        for nursery in children_of(server.pid)
        for pid in children_of(nursery)
    )


async def test_videos_that_are_halted_do_not_pile_up_in_memory(tmp_path: Path) -> None:
    model = tmp_path / "model.onnx"
    model.write_bytes(brightness_model())
    (tmp_path / "work").mkdir()
    port = free_port()
    command = [sys.executable, "-m", "service", "serve", "--port", str(port)]
    settings = {
        "DEEPFAKE_MODEL__PATH": str(model),
        "DEEPFAKE_LIMITS__CONCURRENCY": "1",
        "DEEPFAKE_LIMITS__WAITING": "5",
        "DEEPFAKE_LIMITS__CALLER_SHARE": "1",
        "DEEPFAKE_LIMITS__SHORT_SECONDS": "0.25",
        "DEEPFAKE_LIMITS__MEMORY_SHARE": str(TOGETHER / available()),
    }
    video, modest = hostile_media.greedy(20), media.numbered_video(5)
    peak = 0
    with process(command, port, tmp_path / "work", settings) as server:
        async with httpx.AsyncClient(base_url=server.url, timeout=120) as client:

            async def post(data: bytes) -> httpx.Response:
                query = {"sampling": "full"}
                return await client.post(
                    "/v1/detections", params=query, content=data, headers=OCTETS
                )

            posted = asyncio.gather(*(post(data) for data in [*[video] * 5, modest]))
            while not posted.done():
                peak = max(peak, held_by_readers(server))
                await asyncio.sleep(0.02)
            *greedy, other = await posted
    refused = [each.json() for each in greedy if each.status_code == 422]
    print(f"together {peak >> 20} MB at most, {len(refused)} of {len(greedy)} refused")
    assert TOGETHER / 2 < peak < TOGETHER + OVERSHOOT
    assert refused
    assert {each["code"] for each in refused} == {"over_limits"}
    assert other.status_code == 200
    assert any(each.status_code == 200 for each in greedy)
