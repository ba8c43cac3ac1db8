"""Many videos, some at a time, each tried again while the service is busy."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Protocol

from service.errors import ServiceError
from service.evaluation.manifest import Item
from service.evaluation.rows import ItemRow, row_of, row_of_error
from service.logs import origin
from service.report import Report

_PASSING = frozenset({429, 503})
"""Statuses of what passes: too much to do, not ready yet."""

_LONGEST_PAUSE = 30.0
_LONGEST_WISH = 3600.0
"""Seconds that are waited because a service asks for it, at most."""

_log = logging.getLogger("service.evaluation")


class Stopped(Exception):
    """Nothing more can be scored."""


class Refused(Exception):
    """What a service elsewhere answered in place of a report; as of a ``ServiceError``."""

    def __init__(self, status: int, code: str, retry_after: float | None = None) -> None:
        super().__init__(code)
        self.status, self.code, self.retry_after = status, code, retry_after


class Scorer(Protocol):
    """Whatever gives reports of videos."""

    async def report(self, item: Item) -> Report:
        """With its clips. Raises ``ServiceError``, ``Refused`` and ``Stopped``."""
        ...

    async def wait(self, seconds: float) -> None:
        """Let time pass before the next try. Raises ``Stopped`` where there will be none."""
        ...


@dataclass(frozen=True, slots=True)
class Effort:
    """``concurrency`` videos at a time. One that finds the service busy is tried again, after as
    long as the service asks for, or ``pause`` seconds and twice as long each time, whichever is
    longer; and given up after ``attempts`` while no other of the list was in work."""

    concurrency: int
    attempts: int = 8
    pause: float = 1.0


async def evaluate(
    items: Sequence[Item], scorer: Scorer, effort: Effort
) -> AsyncGenerator[ItemRow, None]:
    """A row for every item, as they come. What is under way is cancelled when this is closed.

    Raises ``Stopped`` as a scorer does, after the rows of what was under way.
    """
    trying = _Trying(scorer, effort)
    left = iter(items)
    under_way: set[asyncio.Task[ItemRow]] = set()
    stopped: BaseException | None = None
    try:
        while True:
            while not stopped and len(under_way) < effort.concurrency:
                item = next(left, None)
                if item is None:
                    break
                under_way.add(asyncio.create_task(trying.row(item)))
            if not under_way:
                break
            done, under_way = await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                error = task.exception()
                if error is None:
                    yield task.result()
                stopped = stopped or error
    finally:
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
    if stopped:
        raise stopped


class _Trying:
    """The tries of one evaluation; it knows how many are being answered."""

    def __init__(self, scorer: Scorer, effort: Effort) -> None:
        self._scorer, self._effort = scorer, effort
        self._asking = 0

    async def row(self, item: Item) -> ItemRow:
        """What comes of a video in the end. Raises ``Stopped``."""
        started = time.monotonic()
        tries = futile = 0
        while True:
            tries += 1
            answer = await self._ask(item)
            seconds = time.monotonic() - started
            if isinstance(answer, Report):
                # Off the loop: a report may have thousands of clips.
                return await asyncio.to_thread(row_of, item, answer, tries, seconds)
            # While others of the list are in work it may be they who are in the way.
            futile += not self._asking
            if answer.status not in _PASSING or futile >= self._effort.attempts:
                return row_of_error(item, answer.code, tries, seconds)
            own = min(self._effort.pause * 2.0 ** min(tries - 1, 16), _LONGEST_PAUSE)
            await self._scorer.wait(max(own, min(answer.retry_after or 0.0, _LONGEST_WISH)))

    async def _ask(self, item: Item) -> Report | ServiceError | Refused:
        self._asking += 1
        try:
            return await self._scorer.report(item)
        except (ServiceError, Refused) as error:
            return error
        except Stopped:
            raise
        except Exception as error:
            _log.error("failed", extra={"fields": origin(error)})
            return ServiceError("Something failed inside the service.")
        finally:
            self._asking -= 1
