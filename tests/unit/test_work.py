"""A detection on its way holds its media until it is over, and not a moment longer."""

from __future__ import annotations

import asyncio
import gc
import json
import weakref
from collections.abc import AsyncIterator

import pytest

from service.api.jobs import show
from service.engine import Event, Progress
from service.errors import Undecodable
from service.jobs import Jobs
from service.settings import JobSettings
from service.work import Outcome, Work
from tests.api.fakes import SEGMENT


class Video:
    """Something large; bytes themselves cannot be watched."""


async def detect(video: Video, error: Exception | None) -> AsyncIterator[Event]:
    yield Progress(0.0, 1.0, 0)
    if error is not None:
        raise error
    await asyncio.sleep(60)
    assert video


def begun(error: Exception | None, watched: list[bool]) -> tuple[Work, weakref.ref[Video]]:
    video = Video()
    seen = weakref.ref(video)
    # The budget is given back in the call, so shortly after it the media must be gone.
    work = Work(
        detect(video, error),
        "request",
        received=0.0,
        finished=lambda report: None,
        ended=lambda: watched.append(True),
    )
    return work, seen


@pytest.mark.parametrize("error", [None, Undecodable("no video")], ids=["cancelled", "failed"])
async def test_media_go_with_the_work_not_with_a_garbage_collection(
    error: Exception | None,
) -> None:
    ended: list[bool] = []
    gc.collect()
    gc.disable()
    try:
        work, video = begun(error, ended)
        await asyncio.sleep(0.01)
        await work.cancel()
        await asyncio.sleep(0)
        assert ended == [True]
        assert video() is None
        assert work.outcome is not None
    finally:
        gc.enable()


async def test_a_job_is_not_done_before_its_result_is_kept() -> None:
    """Until then it may turn out that there is no room for it."""
    jobs = Jobs(JobSettings(), lambda reason: None)
    work, _ = begun(None, [])
    await work.cancel()
    job = jobs.open("owner")
    job.work, work.outcome = work, Outcome(b"{}")
    work.progress = Progress(1.0, 1.0, 0)
    before = json.loads(b"".join(show(job, work)))
    jobs.ended(job)
    after = json.loads(b"".join(show(job, work)))
    jobs.drop(job)
    assert (before["status"], before["expires_in"], before["report"]) == ("running", None, None)
    assert (after["status"], after["report"]) == ("done", {})
    assert after["expires_in"] > 0


async def test_a_dropped_job_leaves_nothing_behind() -> None:
    jobs = Jobs(JobSettings(), lambda reason: None)
    work, _ = begun(None, [])
    await work.cancel()
    job = jobs.open("owner")
    job.work = work
    work.outcome = Outcome(b"report")
    jobs.ended(job)
    seen = weakref.ref(job)
    assert len(jobs) == 1
    jobs.drop(job)
    gc.disable()
    try:
        del job
        assert seen() is None
    finally:
        gc.enable()


async def test_a_segment_alone_is_a_beginning() -> None:
    """Who listens gets it at once, and not with the next sign of life."""

    async def told() -> AsyncIterator[Event]:
        yield SEGMENT
        await asyncio.sleep(60)

    work = Work(told(), "request", received=0.0, finished=lambda _: None, ended=lambda: None)
    await asyncio.sleep(0)
    await asyncio.wait_for(work.begun(60), 5)
    assert work.segments == [SEGMENT]
    await work.cancel()
