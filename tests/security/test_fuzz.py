"""A sample of damaged videos, to a real server: nothing but reports and known errors come back.

The thousands behind it: ``python -m tests.security.fuzz``.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator

import httpx
import pytest

from tests.onnx_models import brightness_model
from tests.security.fuzz import CODES, REPORT, SECONDS, Tally, fuzz, over
from tests.security.mutation import mutated
from tests.security.server_process import ServerProcess, free_port, process
from tests.unit.sandbox.processes import children_of, state_of

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes in /proc")

COUNT = 200


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("fuzzed")
    (folder / "model.onnx").write_bytes(brightness_model())
    (folder / "work").mkdir()
    port = free_port()
    environment = {
        "DEEPFAKE_MODEL__PATH": str(folder / "model.onnx"),
        "DEEPFAKE_LIMITS__DECODE_SECONDS": str(SECONDS),
    }
    command = [sys.executable, "-m", "service", "serve", "--port", str(port)]
    with process(command, port, folder / "work", environment) as running:
        yield running


def test_a_server_outlives_damaged_videos(server: ServerProcess) -> None:
    async def run() -> Tally:
        async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
            return await fuzz(over(client), 1, range(COUNT))

    tally = asyncio.run(run())
    print(tally)
    assert tally.wrong == []
    assert tally.outcomes.total() == COUNT
    assert len(tally.outcomes) > 2, "mutants that all end alike test little"
    assert state_of(server.pid) not in ("", "Z")
    (nursery,) = children_of(server.pid)
    assert children_of(nursery) == [], "no child is left behind, not even as a zombie"
    assert httpx.get(f"{server.url}/v2/health/ready").status_code == 200


def test_what_goes_wrong_is_noticed() -> None:
    async def broken(data: bytes) -> str:
        if data == mutated(3, 5):
            raise ConnectionResetError
        return "internal" if data == mutated(3, 7) else min(CODES)

    tally = asyncio.run(fuzz(broken, 3, range(10)))
    assert [line.split(":")[0] for line in tally.wrong] == ["5", "7", "afterwards a good video"]
    assert tally.outcomes[min(CODES)] == 8
    assert REPORT not in tally.outcomes


def test_a_mutant_can_be_had_again() -> None:
    assert mutated(1, 2) == mutated(1, 2) != mutated(2, 2)
    assert len({mutated(1, number) for number in range(50)}) == 50
