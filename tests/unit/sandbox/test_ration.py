"""What readers hold together is bounded, however many are halted, and who takes most is ended."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from service.errors import OverLimits
from service.sandbox.extraction import Extraction
from service.sandbox.ration import held
from service.sandbox.workers import Workers
from service.sources.source import Memory
from tests.security import hostile_media
from tests.unit.sandbox.jobs import JOB, MEMORY, done
from tests.unit.sandbox.processes import children_of, nursery_of, until

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(sys.platform != "linux", reason="looks at processes in /proc"),
]

TOGETHER = 700 * 2**20
GREEDY = 300 * 2**20
"""What a reader of the greedy video holds at some moment on its way to half a gigabyte."""
OVERSHOOT = 150 * 2**20


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def workers() -> AsyncIterator[Workers]:
    made = Workers(memory=MEMORY, together=TOGETHER, cpu_seconds=120)
    await made.start()
    yield made
    await made.stop()


@pytest.fixture(scope="module")
def greedy() -> bytes:
    return hostile_media.greedy(20)


def shares(workers: Workers) -> dict[int, int]:
    """What each reader holds beyond what it has in common with the nursery."""
    nursery = nursery_of(workers)
    return {pid: max(0, held(pid) - held(nursery)) for pid in children_of(nursery)}


async def test_halted_readers_cannot_hold_more_than_all_may(
    workers: Workers, greedy: bytes, group: bytes
) -> None:
    async with (
        workers.extract(Memory(group), JOB) as modest,
        workers.extract(Memory(greedy), JOB) as halted,
    ):
        await anext(modest)
        modest.pause()
        await anext(halted)
        await until(lambda: max(shares(workers).values()) > GREEDY)
        halted.pause()
        peak = 0
        ended: list[BaseException] = []
        # Where one is through before the next has begun, all may have had what they wanted.
        for _ in range(10):
            others = asyncio.gather(
                done(workers, greedy), done(workers, greedy), return_exceptions=True
            )
            while not others.done():
                peak = max(peak, sum(shares(workers).values()))
                await asyncio.sleep(0.01)
            ended = [each for each in await others if isinstance(each, BaseException)]
            if ended:
                break
        assert ended
        for each in ended:
            assert isinstance(each, OverLimits)
            assert "all videos" in each.detail
        print(f"together {peak >> 20} MB at most")
        assert TOGETHER - GREEDY < peak < TOGETHER + OVERSHOOT
        modest.resume()
        assert [item async for item in modest], "it held next to nothing"
    assert workers.restarts == 0, "who is ended has not crashed"
    assert workers.alive == 0


async def _rest(extraction: Extraction) -> None:
    async for _ in extraction:
        pass


async def test_a_halted_reader_that_holds_most_is_told_so(
    workers: Workers, greedy: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with workers.extract(Memory(greedy), JOB) as halted:
        await anext(halted)
        await until(lambda: max(shares(workers).values()) > GREEDY)
        halted.pause()
        monkeypatch.setattr(workers._ration, "_most", GREEDY)
        with pytest.raises(OverLimits, match="all videos"):
            await asyncio.wait_for(_rest(halted), 20)


async def test_where_memory_runs_out_the_kernel_takes_a_reader(
    workers: Workers, group: bytes
) -> None:
    def badness(pid: int) -> int:
        return int(Path(f"/proc/{pid}/oom_score_adj").read_text())

    async with workers.extract(Memory(group), JOB) as extraction:
        await anext(extraction)
        (child,) = children_of(nursery_of(workers))
        assert badness(child) == 1000
        assert badness(nursery_of(workers)) == badness(os.getpid()) < 1000
