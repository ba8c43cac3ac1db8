"""Many videos at a time: none dropped, each tried again while the service is busy."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from service.errors import Busy, NotReady, OriginFailed, ServiceError, UrlBlocked
from service.evaluation.manifest import Item
from service.evaluation.rows import ItemRow
from service.evaluation.running import Effort, Refused, Stopped, evaluate
from service.report import Report
from tests.api.fakes import EXAMPLE
from tests.unit.evaluation.made import item


class Scripted:
    """Fails as told, video by video and try by try, then gives the example report."""

    def __init__(
        self, failures: dict[str, list[Exception]] | None = None, seconds: float = 0.002
    ) -> None:
        self.failures = failures or {}
        self.seconds = seconds
        self.at_once = self.most_at_once = 0
        self.asked: list[str] = []
        self.cancelled = 0

    async def wait(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def report(self, item: Item) -> Report:
        self.asked.append(item.id)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await asyncio.sleep(0.002 if item.id == "i0" else self.seconds)
            left = self.failures.get(item.id)
            if left:
                raise left.pop(0)
            return EXAMPLE
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.at_once -= 1


QUICK = Effort(concurrency=3, attempts=4, pause=0.001)


async def rows_of(scorer: Scripted, count: int, effort: Effort = QUICK) -> dict[str, ItemRow]:
    return {row.id: row async for row in evaluate([item(n) for n in range(count)], scorer, effort)}


async def test_every_video_becomes_a_row() -> None:
    scorer = Scripted({"i1": [UrlBlocked("x")], "i2": [OriginFailed("x")]})
    rows = await rows_of(scorer, 20)
    assert sorted(rows) == sorted(f"i{n}" for n in range(20))
    assert (rows["i1"].status, rows["i1"].code, rows["i1"].attempts) == ("error", "url_blocked", 1)
    assert rows["i2"].code == "origin_failed"
    assert rows["i3"].status == "ok"
    assert rows["i3"].score == EXAMPLE.score
    assert scorer.most_at_once == 3


async def test_what_passes_is_waited_for() -> None:
    passing: list[Exception] = [Busy("x"), NotReady("x"), Refused(503, "not_ready")]
    scorer = Scripted({"i0": passing, "i1": [Refused(429, "busy", 0.2)]})
    began = asyncio.get_running_loop().time()
    rows = await rows_of(scorer, 2)
    assert (rows["i0"].status, rows["i0"].attempts) == ("ok", 4)
    assert rows["i1"].attempts == 2
    assert asyncio.get_running_loop().time() - began >= 0.2


async def test_pauses_double() -> None:
    scorer = Scripted({"i0": [Busy("x") for _ in range(3)]})
    began = asyncio.get_running_loop().time()
    await rows_of(scorer, 1, Effort(1, attempts=4, pause=0.05))
    assert asyncio.get_running_loop().time() - began >= 0.05 + 0.1 + 0.2


async def test_a_service_that_stays_busy_is_given_up() -> None:
    scorer = Scripted({"i0": [Busy("x") for _ in range(9)]})
    rows = await rows_of(scorer, 1)
    assert (rows["i0"].status, rows["i0"].code, rows["i0"].attempts) == ("error", "busy", 4)
    assert len(scorer.asked) == 4


@pytest.mark.parametrize("error", [UrlBlocked("x"), ServiceError("x"), Refused(502, "y")])
async def test_what_lasts_is_not_tried_again(error: Exception) -> None:
    rows = await rows_of(Scripted({"i0": [error]}), 1)
    assert rows["i0"].attempts == 1


async def test_closing_cancels_what_is_under_way() -> None:
    scorer = Scripted(seconds=60)
    async with aclosing(evaluate([item(n) for n in range(9)], scorer, QUICK)) as rows:
        await anext(rows)
    assert scorer.at_once == 0
    assert scorer.cancelled == 2
    assert len(scorer.asked) < 9


async def test_what_nobody_foresaw_is_a_row_as_well() -> None:
    rows = await rows_of(Scripted({"i2": [RuntimeError("secret")]}), 9)
    assert len(rows) == 9
    assert (rows["i2"].status, rows["i2"].code) == ("error", "internal")


async def test_what_ends_everything_is_raised_after_what_was_under_way() -> None:
    scorer = Scripted({"i0": [Stopped("the end")]}, seconds=0.05)
    rows = evaluate([item(n) for n in range(9)], scorer, QUICK)
    assert {(await anext(rows)).id for _ in range(2)} == {"i1", "i2"}
    with pytest.raises(Stopped, match="the end"):
        await anext(rows)
    assert sorted(scorer.asked) == ["i0", "i1", "i2"]
    assert not scorer.cancelled


class OnePlace(Scripted):
    """Has a place for one video at a time."""

    async def report(self, item: Item) -> Report:
        if self.at_once:
            self.asked.append(item.id)
            raise Busy("x")
        return await super().report(item)


async def test_who_waits_for_a_place_that_others_of_the_list_have_is_not_given_up() -> None:
    scorer = OnePlace(seconds=0.1)
    rows = await rows_of(scorer, 12, Effort(concurrency=3, attempts=2, pause=0.01))
    assert {row.status for row in rows.values()} == {"ok"}
