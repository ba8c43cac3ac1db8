"""Many videos, some at a time, each tried again while the service is busy."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Protocol

from service.errors import ServiceError
from service.evaluation.manifest import Item
from service.evaluation.rows import ItemRow, row_of, row_of_error
from service.report import Report

_PASSING = frozenset({429, 503})
"""Statuses of what passes: too much to do, not ready yet."""

_LONGEST_PAUSE = 60.0


class Refused(Exception):
    """What a service elsewhere answered in place of a report; as of a ``ServiceError``."""

    def __init__(self, status: int, code: str, retry_after: float | None = None) -> None:
        super().__init__(code)
        self.status, self.code, self.retry_after = status, code, retry_after


class Scorer(Protocol):
    """Whatever gives reports of videos."""

    async def report(self, item: Item) -> Report:
        """With its clips. Raises ``ServiceError`` and ``Refused``."""
        ...


@dataclass(frozen=True, slots=True)
class Effort:
    """``concurrency`` videos at a time. One that finds the service busy is tried ``attempts`` times
    in all: after as long as the service asks for, or ``pause`` seconds and twice as long each time,
    whichever is longer."""

    concurrency: int
    attempts: int = 8
    pause: float = 1.0


async def evaluate(
    items: Sequence[Item], scorer: Scorer, effort: Effort
) -> AsyncGenerator[ItemRow, None]:
    """A row for every item, as they come. What is under way is cancelled when this is closed.

    Raises whatever else a scorer raises: then nothing more can be scored.
    """
    left = iter(items)
    under_way: set[asyncio.Task[ItemRow]] = set()
    try:
        while True:
            while len(under_way) < effort.concurrency:
                item = next(left, None)
                if item is None:
                    break
                under_way.add(asyncio.create_task(_row(item, scorer, effort)))
            if not under_way:
                return
            done, under_way = await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                yield task.result()
    finally:
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)


async def _row(item: Item, scorer: Scorer, effort: Effort) -> ItemRow:
    started = time.monotonic()
    attempt = 1
    while True:
        try:
            report = await scorer.report(item)
            return row_of(item, report, attempt, time.monotonic() - started)
        except (ServiceError, Refused) as error:
            if error.status not in _PASSING or attempt == effort.attempts:
                return row_of_error(item, error.code, attempt, time.monotonic() - started)
            pause = max(error.retry_after or 0.0, effort.pause * 2 ** (attempt - 1))
        await asyncio.sleep(min(pause, _LONGEST_PAUSE))
        attempt += 1
