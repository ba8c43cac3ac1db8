"""``POST /v1/detections``: a video in; its report, a stream of events, or a job out."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, aclosing
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from service import errors
from service.admission import Admission, Place
from service.api import problems
from service.api.accept import JSON, NDJSON, SSE, accepted
from service.api.body import Body, schema
from service.api.caller import owner
from service.api.examples import REPORT
from service.api.jobs import JobState, brief, path, show
from service.api.outside import Call, Outside
from service.api.pieces import Pieces
from service.api.prefer import RESPOND_ASYNC, respond_async
from service.api.presence import while_connected
from service.api.query import DetectionQuery
from service.api.stream import EventStream
from service.engine import DetectionOptions, Engine, Event, Finished, Readiness
from service.jobs import Job, Jobs
from service.metrics import Metrics
from service.report import Report, Timing
from service.settings import Settings
from service.signing import Signer, require_kept, signed
from service.sources.source import Source
from service.tracing import Stage
from service.work import Work

_RAISES = (
    errors.MalformedRequest,
    errors.EmptyBody,
    errors.UnknownModel,
    errors.Unauthorized,
    errors.NotAcceptable,
    errors.SlowBody,
    errors.TooLarge,
    errors.UnsupportedMediaType,
    errors.Undecodable,
    errors.NoVideo,
    errors.OverLimits,
    errors.TooSlow,
    errors.UrlBlocked,
    errors.PageUrl,
    errors.RateLimited,
    errors.Busy,
    errors.HeadersTooLarge,
    errors.ServiceError,
    errors.WorkerLost,
    errors.OriginFailed,
    errors.NotReady,
    errors.OriginSlow,
)

EVENTS = {"schema": {"$ref": "#/components/schemas/StreamedEvent"}}

_TEXT = {"schema": {"type": "string"}}

_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The report, or as the caller accepts it, a stream of events",
        "content": {JSON: {"example": REPORT}, NDJSON: EVENTS, SSE: EVENTS},
        "headers": {
            "Server-Timing": {"description": "Milliseconds spent in each stage; JSON only"} | _TEXT
        },
    },
    202: {
        "description": "The job that the video became, with `Prefer: respond-async`",
        "model": JobState,
        "headers": {
            "Location": {"description": "Path of the job"} | _TEXT,
            "Preference-Applied": {"description": "`respond-async`"} | _TEXT,
        },
    },
}

_PREFER = {
    "name": "Prefer",
    "in": "header",
    "required": False,
    "description": "`respond-async`: answer with a job once the video has arrived (RFC 7240)",
    "schema": {"type": "string"},
}


class Detections:
    """Takes videos in and starts the work on them."""

    def __init__(
        self,
        engine: Engine,
        readiness: Callable[[], Readiness],
        admission: Admission,
        jobs: Jobs,
        metrics: Metrics,
        settings: Settings,
        outside: Outside,
    ) -> None:
        self._engine, self._readiness = engine, readiness
        self._admission, self._jobs, self._metrics = admission, jobs, metrics
        self._limits, self._beat = settings.limits, settings.server.heartbeat_seconds
        self._prefix = settings.root_path
        self._outside = outside

    @property
    def links(self) -> bool:
        """Whether videos are taken by URL."""
        return self._outside.fetcher is not None

    async def answer(self, query: DetectionQuery, request: Request) -> Response:
        """All that headers tell is judged before a byte of the body is read."""
        form = accepted(request, JSON, NDJSON, SSE)
        options = query.options(self._readiness())
        signer = self._outside.signing(query.receipt)
        told = self._outside.calling(query.callback, request.state.caller)
        body = Body(request, self._admission.largest, self._outside.fetcher)
        if form == JSON and respond_async(request):
            return await self._later(request, body, options, signer, told)
        if told is not None:
            raise errors.MalformedRequest(
                "The query parameter 'callback' is for `Prefer: respond-async` alone."
            )
        work = await self._admitted(request, body, options, signer)
        if form == JSON:
            return await self._report(request, work)
        return await self._stream(request, work, form)

    async def _admitted(
        self,
        request: Request,
        body: Body,
        options: DetectionOptions,
        signer: Signer | None,
        ended: Callable[[], None] = lambda: None,
    ) -> Work:
        place = self._admission.admit(request.state.caller, body.announced)
        try:
            return await self._begin(request, body, place, options, signer, ended)
        except BaseException:
            place.release()
            raise

    async def _begin(
        self,
        request: Request,
        body: Body,
        place: Place,
        options: DetectionOptions,
        signer: Signer | None,
        ended: Callable[[], None],
    ) -> Work:
        """Read the body and start the work; the media live no longer than that."""
        arrived = time.perf_counter()
        with Stage("receive"):
            opening, received = await body.read(place, self._limits)

        def finished(report: Report) -> None:
            self._metrics.detection(report, received, time.perf_counter() - arrived)

        def over() -> None:
            place.release()
            if work.abandoned:
                self._metrics.abandoned(time.perf_counter() - arrived)
            ended()

        work = Work(
            self._events(opening, options, signer),
            request.state.request_id,
            received=received,
            finished=finished,
            ended=over,
        )
        return work

    async def _events(
        self,
        opening: AbstractAsyncContextManager[Source],
        options: DetectionOptions,
        signer: Signer | None,
    ) -> AsyncGenerator[Event, None]:
        async with opening as source:
            if signer is not None:
                require_kept(source)
            async with aclosing(self._engine.detect(source, options)) as events:
                async for event in events:
                    if signer is not None and isinstance(event, Finished):
                        yield Finished(await signed(event.report, source, options, signer))
                    else:
                        yield event

    async def _report(self, request: Request, work: Work) -> Response:
        try:
            outcome = await while_connected(request.receive, work.end())
        finally:
            await work.cancel()
        if outcome.error is not None:
            raise outcome.error
        timing = {"Server-Timing": _server_timing(work.received, outcome.timing)}
        return Pieces(outcome.report, headers=timing)

    async def _stream(self, request: Request, work: Work, form: str) -> Response:
        """What fails before there is anything to tell is an ordinary problem."""
        followed = work.follow(self._beat)
        try:
            await while_connected(request.receive, work.begun(self._beat))
            if work.outcome and work.outcome.error and work.progress is None:
                raise work.outcome.error
        except BaseException:
            await work.cancel()
            raise
        return EventStream(work, followed, form, own=True)

    async def _later(
        self,
        request: Request,
        body: Body,
        options: DetectionOptions,
        signer: Signer | None,
        told: Call | None,
    ) -> Response:
        # Before it is admitted: a video refused for want of a job costs its caller no token.
        job = self._jobs.open(owner(request), request.state.caller)
        try:

            def ended() -> None:
                self._jobs.ended(job)
                self._count_failure(job)
                if told is not None and job.expires is not None:
                    told(brief(job))

            job.work = await self._admitted(request, body, options, signer, ended)
        except BaseException:
            self._jobs.drop(job)
            raise
        headers = {"Location": path(self._prefix, job), "Preference-Applied": RESPOND_ASYNC}
        return Pieces(*show(job, job.work), status=202, headers=headers)

    def _count_failure(self, job: Job) -> None:
        """A job that its owner deleted has not failed."""
        error = job.work and job.work.outcome and job.work.outcome.error
        if error and job.expires is not None:
            self._metrics.problem(error.code)


def router(detections: Detections) -> APIRouter:
    """The route that scores videos."""
    routes = APIRouter(tags=["detections"])

    @routes.post(
        "/v1/detections",
        summary="Score a video",
        response_model=Report,
        responses=problems.responses(*_RAISES) | _ANSWERS,
        openapi_extra={"requestBody": schema(links=detections.links), "parameters": [_PREFER]},
    )
    async def detect(query: Annotated[DetectionQuery, Query()], request: Request) -> Response:
        return await detections.answer(query, request)

    return routes


def _server_timing(received: float, timing: Timing | None) -> str:
    stages: dict[str, Any] = {"receive": received} | (timing.model_dump() if timing else {})
    return ", ".join(f"{name};dur={seconds * 1000:.1f}" for name, seconds in stages.items())
