"""``/v1/detections/{id}``: a detection whose client did not wait."""

from __future__ import annotations

import time
from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from service.api import problems
from service.api.accept import JSON, NDJSON, SSE, accepted
from service.api.caller import owner
from service.api.events import ProgressEvent
from service.api.pieces import Pieces
from service.api.problems import Problem, document
from service.api.stream import EventStream
from service.errors import NotAcceptable, OtherReplica, Unauthorized, UnknownJob
from service.jobs import Job, Jobs
from service.report import Report
from service.work import Work

Status = Literal["queued", "running", "done", "failed"]


class JobState(BaseModel):
    """A job as it is now."""

    id: str
    status: Status
    progress: ProgressEvent = Field(description="How far it is")
    expires_in: float | None = Field(
        None, description="Seconds for which the result is still kept; null until there is one"
    )
    problem: Problem | None = Field(None, description="Why it failed")
    report: Report | None = Field(None, description="Of a job that is done")


def path(prefix: str, job: Job) -> str:
    """Where a job is found; relative to the host, whose name the caller knows best."""
    return f"{prefix.rstrip('/')}/v1/detections/{job.id}"


def show(job: Job, work: Work) -> tuple[bytes, bytes, bytes]:
    """A job's state as JSON, in parts: the report is not copied."""
    # Between the end of the work and the keeping of its result a job is not done yet: it may
    # turn out that there is no room.
    outcome = work.outcome if job.expires is not None else None
    state = JobState(id=job.id, status="running", progress=ProgressEvent.of(work.progress))
    if outcome is None:
        state.status = "running" if work.progress or work.segments else "queued"
    elif outcome.error is not None:
        state.status = "failed"
        state.problem = document(outcome.error, work.request_id)
    else:
        state.status = "done"
    if job.expires is not None:
        state.expires_in = round(max(0.0, job.expires - time.monotonic()), 1)
    report = outcome.report if outcome and outcome.report else b"null"
    # The report is kept as JSON, so it is put in as it is.
    head = state.model_dump_json(exclude={"report"}).encode()[:-1] + b',"report":'
    return head, report, b"}"


def brief(job: Job) -> bytes:
    """How a job ended, as JSON without its report."""
    assert job.work is not None
    error = job.work.outcome.error if job.work.outcome else None
    state = JobState(
        id=job.id,
        status="failed" if error else "done",
        progress=ProgressEvent.of(job.work.progress),
        problem=document(error, job.work.request_id) if error else None,
    )
    return state.model_dump_json(exclude={"report", "expires_in"}).encode()


def router(jobs: Jobs, beat: float) -> APIRouter:
    """The routes of jobs."""
    routes = APIRouter(tags=["jobs"])
    missing = (Unauthorized, UnknownJob, OtherReplica)
    events: dict[str, Any] = {"schema": {"$ref": "#/components/schemas/StreamedEvent"}}

    @routes.get(
        "/v1/detections/{id}",
        summary="State or result of a job, or its events as they come",
        response_model=JobState,
        responses=problems.responses(*missing, NotAcceptable)
        | {200: {"content": {NDJSON: events, SSE: events}}},
    )
    async def get(id: str, request: Request) -> Response:
        form = accepted(request, JSON, NDJSON, SSE)
        job, work = jobs.get(id, owner(request))
        if form == JSON:
            job.fetched = job.fetched or job.expires is not None
            return Pieces(*show(job, work))

        def told() -> None:
            job.fetched = True

        return EventStream(work, work.follow(beat), form, own=False, told=told)

    @routes.delete(
        "/v1/detections/{id}",
        summary="Cancel a job and forget its result",
        status_code=204,
        responses=problems.responses(*missing),
    )
    async def delete(id: str, request: Request) -> Response:
        job, work = jobs.get(id, owner(request))
        jobs.drop(job)
        await work.cancel(UnknownJob("The job was deleted."))
        return Response(status_code=204)

    return routes
