"""Whenever a nursery is made anew the log says so, and why in words that no video chose."""

from __future__ import annotations

import os
import signal
import sys

import pytest

from service.errors import WorkerLost
from service.sandbox.workers import Workers
from service.sources.source import Memory
from tests.unit.sandbox.jobs import JOB
from tests.unit.sandbox.processes import children_of, nursery_of, until

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(sys.platform != "linux", reason="looks at processes in /proc"),
]


def told(caplog: pytest.LogCaptureFixture) -> list[object]:
    """The fields of the lines about restarts."""
    lines = [each for each in caplog.records if each.msg == "sandbox restarted"]
    return [line.fields for line in lines]  # type: ignore[attr-defined]


async def restarted(workers: Workers, times: int) -> None:
    """Wait until a nursery has been made anew so many times and the newest is there."""
    await until(lambda: workers.restarts == times and workers._living and not workers._renewal)


async def test_a_reader_that_crashes(
    workers: Workers, group: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    before = workers.restarts
    async with workers.extract(Memory(group), JOB) as victim:
        await anext(victim)
        (child,) = children_of(nursery_of(workers))
        os.kill(child, signal.SIGSEGV)
        with pytest.raises(WorkerLost):
            async for _ in victim:
                pass
    await restarted(workers, before + 1)
    assert told(caplog) == [{"reason": "a process that read a video crashed"}]


async def test_a_nursery_that_dies_after_a_long_life(
    workers: Workers, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = workers.restarts
    # Of those that die at once another line tells as well.
    monkeypatch.setattr("service.sandbox.workers._SOUND_SECONDS", -1.0)
    os.kill(nursery_of(workers), signal.SIGKILL)
    await restarted(workers, before + 1)
    assert told(caplog) == [{"reason": "the sandbox for videos ended"}]


async def test_a_reader_that_was_taken_over(
    workers: Workers, caplog: pytest.LogCaptureFixture
) -> None:
    before = workers.restarts
    assert workers._nurse is not None
    workers._nurse.distrust()
    # There is one new nursery for all that is wrong with the old one.
    workers._nurse.distrust()
    await restarted(workers, before + 1)
    assert told(caplog) == [{"reason": "a process that read a video said what none may say"}]
