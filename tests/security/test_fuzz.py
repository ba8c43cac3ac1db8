"""A sample of damaged videos, to a real server: nothing but reports and known errors come back.

The thousands behind it: ``python -m tests.security.fuzz``.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator

import httpx
import pytest

from tests.security.fuzz import CODES, REPORT, fuzz, fuzz_server, serving
from tests.security.mutation import mutated
from tests.security.server_process import ServerProcess
from tests.unit.sandbox.processes import children_of, state_of

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes in /proc")

COUNT = 200


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with serving() as running:
        yield running


def test_a_server_outlives_damaged_videos(server: ServerProcess) -> None:
    tally = asyncio.run(fuzz_server(server.url, 1, range(COUNT)))
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


def test_what_takes_too_long_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.security.fuzz.SECONDS", 0.1)
    monkeypatch.setattr("tests.security.fuzz._GRACE", 0.1)

    async def slow(data: bytes) -> str:
        await asyncio.sleep(0.3 if data == mutated(3, 5) else 0)
        return REPORT

    (line,) = asyncio.run(fuzz(slow, 3, range(10))).wrong
    assert line.startswith("5: report after")


def test_a_server_that_has_gone_is_noticed_soon() -> None:
    async def refused(_: bytes) -> str:
        raise httpx.ConnectError("nobody there")

    tally = asyncio.run(fuzz(refused, 1, range(10_000)))
    assert tally.outcomes.total() < 100
    assert tally.wrong[-1] == "afterwards a good video: ConnectError: nobody there"


def test_a_mutant_can_be_had_again() -> None:
    assert mutated(1, 2) == mutated(1, 2) != mutated(2, 2)
    assert len({mutated(1, number) for number in range(50)}) == 50
