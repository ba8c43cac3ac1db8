"""Load that does not wait for answers."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import httpx
import pytest

from benchmarks import clients
from benchmarks.clients import arrivals, closed_loop, open_loop, percentiles


def test_arrivals_are_a_seeded_poisson_process() -> None:
    due = arrivals(50.0, 200.0, seed=1)

    assert due == arrivals(50.0, 200.0, seed=1) != arrivals(50.0, 200.0, seed=2)
    assert due == sorted(due)
    assert due[0] > 0
    assert due[-1] < 200
    # 10,000 expected, with a deviation of 100; gaps deviate as much as they are long.
    assert len(due) == pytest.approx(10_000, abs=400)
    gaps = [after - before for before, after in pairwise(due)]
    mean = sum(gaps) / len(gaps)
    deviation = (sum((gap - mean) ** 2 for gap in gaps) / len(gaps)) ** 0.5
    assert deviation == pytest.approx(mean, rel=0.1)


async def test_open_loop_does_not_wait_and_counts_from_when_it_was_due() -> None:
    everybody = asyncio.Barrier(3)

    async def ask(session: httpx.AsyncClient, video: bytes) -> tuple[int, int]:
        await everybody.wait()  # None is answered before all are sent.
        return 200, len(video)

    async with asyncio.timeout(30):
        answers = await open_loop("http://unused", [b"a", b"bb"], [-60.0, 0.0, 0.0], ask)

    assert [each.clips for each in answers] == [1, 2, 1]
    assert answers[0].seconds >= 60


async def test_closed_loop_keeps_to_its_clients_and_sends_everything(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    together, seen = 0, []

    async def ask(session: httpx.AsyncClient, video: bytes) -> tuple[int, int]:
        nonlocal together
        together += 1
        seen.append(together)
        await asyncio.sleep(0)
        together -= 1
        return 200, 1

    def run() -> list[clients.Answer]:
        return asyncio.run(closed_loop("http://unused", [b""] * 7, 2, ask))

    assert len(await asyncio.to_thread(run)) == 7
    assert max(seen) == 2


def test_percentiles_of_nothing_are_empty_cells() -> None:
    assert percentiles([]) == ["", "", ""]
    assert percentiles([1.0, 2.0, 3.0])[0] == "2.00"
