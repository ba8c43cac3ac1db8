"""``POST /v1/evaluations``: a labelled list of URLs in, a row for each of them and figures out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from service import errors
from service.admission import Admission
from service.api import problems
from service.api.accept import NDJSON, accepted
from service.api.lines import Closing, Lines
from service.api.query import require_served
from service.engine import DetectionOptions, Engine, Readiness
from service.evaluation.manifest import Item, ManifestError, read_manifest
from service.evaluation.rows import ItemRow
from service.evaluation.running import Effort, evaluate
from service.evaluation.scorers import report_of
from service.evaluation.tally import Tally
from service.metrics import Metrics
from service.report import Report
from service.settings import Settings
from service.sources.remote import Fetcher
from service.sources.upload import Receiver
from service.video.sampling import PATTERN

KINDS = ("text/csv", NDJSON)
_ATTEMPTS = 20
_FULL_WAIT = 60.0
_LOOK_SECONDS = 0.1
_TEXT = {"schema": {"type": "string", "minLength": 1}}
_BODY: dict[str, Any] = {
    "required": True,
    "description": "The list: `label` (`real` or `fake`), `url`, and if you like `id`, `dataset` "
    "and `group`, as columns of CSV or members of JSON lines. How long it "
    "may be the operator says.",
    "content": {
        "text/csv": _TEXT | {"example": "label,url\nfake,https://example.org/video.mp4\n"},
        NDJSON: _TEXT | {"example": '{"label": "fake", "url": "https://example.org/video.mp4"}\n'},
    },
}
_RAISES = (
    errors.MalformedRequest,
    errors.EmptyBody,
    errors.UnknownModel,
    errors.Unauthorized,
    errors.NotAcceptable,
    errors.SlowBody,
    errors.TooLarge,
    errors.UnsupportedMediaType,
    errors.RateLimited,
    errors.Busy,
    errors.HeadersTooLarge,
    errors.ServiceError,
    errors.NotReady,
)


class EvaluationQuery(BaseModel):
    """What the caller asks for, in the query."""

    model_config = ConfigDict(extra="forbid")

    sampling: str = Field(
        "paper", pattern=PATTERN, description="As of `POST /v1/detections`", examples=["paper"]
    )
    model: str | None = Field(
        None, min_length=1, max_length=128, description="As of `POST /v1/detections`"
    )


@dataclass(frozen=True, slots=True)
class _Scorer:
    """Scores each video of a list as if its caller had sent it by itself."""

    engine: Engine
    admission: Admission
    metrics: Metrics
    fetcher: Fetcher
    caller: str
    options: DetectionOptions

    async def report(self, item: Item) -> Report:
        """See ``Scorer``. Raises ``Closing``."""
        if self.admission.closed:
            raise Closing
        url = self.fetcher.checked(item.url)
        place = self.admission.admit(self.caller, 0)
        started = time.perf_counter()
        try:
            async with self.fetcher.open(url, place.arrive) as media:
                report = await report_of(self.engine, media, self.options)
        finally:
            place.release()
        self.metrics.detection(report, received=0.0, took=time.perf_counter() - started)
        return report

    async def wait(self, seconds: float) -> None:
        """See ``Scorer``. Raises ``Closing``."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if self.admission.closed:
                raise Closing
            await asyncio.sleep(min(left, _LOOK_SECONDS))


class Evaluations:
    """Takes lists in; of each caller one at a time."""

    def __init__(
        self,
        engine: Engine,
        readiness: Callable[[], Readiness],
        admission: Admission,
        metrics: Metrics,
        settings: Settings,
        fetcher: Fetcher,
    ) -> None:
        self._engine, self._readiness = engine, readiness
        self._admission, self._metrics, self._fetcher = admission, metrics, fetcher
        self._limits, self._settings = settings.limits, settings.evaluation
        self._beat = settings.server.heartbeat_seconds
        self._callers: set[str] = set()

    async def answer(self, query: EvaluationQuery, request: Request) -> Response:
        """All that is wrong with the list is said before anything is scored."""
        accepted(request, NDJSON)
        require_served(query.model, self._readiness())
        options = DetectionOptions(query.sampling, "clips", model=query.model)
        receiver = self._receiver(request)
        caller = request.state.caller
        self._require_room(caller)
        items = await self._items(receiver, request)
        self._require_room(caller)
        scorer = _Scorer(
            self._engine, self._admission, self._metrics, self._fetcher, caller, options
        )
        rows = evaluate(items, scorer, Effort(self._settings.concurrency, _ATTEMPTS))
        self._enter(caller)
        return Lines(
            self._counted(rows),
            Tally(self._settings.clips),
            len(items),
            beat=self._beat,
            request_id=request.state.request_id,
            ended=lambda: self._leave(caller),
        )

    async def _counted(self, rows: AsyncGenerator[ItemRow, None]) -> AsyncGenerator[ItemRow, None]:
        """The same; a video that got no report is an error told, as if it had come by itself."""
        async with aclosing(rows):
            async for row in rows:
                if row.code is not None:
                    self._metrics.problem(row.code)
                yield row

    def _require_room(self, caller: str) -> None:
        if caller in self._callers:
            raise errors.RateLimited(
                "One list of each caller is scored at a time.", retry_after=_FULL_WAIT
            )
        if len(self._callers) >= self._settings.running:
            raise errors.Busy("As many lists are scored as may be.", retry_after=_FULL_WAIT)

    def _enter(self, caller: str) -> None:
        self._callers.add(caller)
        self._admission.lists += 1

    def _leave(self, caller: str) -> None:
        self._callers.discard(caller)
        self._admission.lists -= 1

    def _receiver(self, request: Request) -> Receiver:
        kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
        encoding = request.headers.get("content-encoding", "identity").lower()
        if kind not in KINDS or encoding != "identity":
            refusal = errors.UnsupportedMediaType(
                f"Send the list as {' or '.join(KINDS)}, without an encoding."
            )
            refusal.accept = ", ".join(KINDS)
            raise refusal
        length = request.headers.get("content-length")
        return Receiver(
            content_type="application/octet-stream",
            content_length=int(length) if length else None,
            limit=self._settings.bytes,
        )

    async def _items(self, receiver: Receiver, request: Request) -> list[Item]:
        async with aclosing(request.stream()) as chunks:
            body = await receiver.read(
                chunks,
                seconds=self._limits.upload_seconds,
                idle_seconds=self._limits.idle_seconds,
                rate=self._limits.upload_rate,
            )
        data = await body.read(0, body.size)
        try:
            # Off the loop: megabytes of lines take a second to check.
            items = await asyncio.to_thread(
                read_manifest, data, self._settings.items, self._settings.datasets
            )
        except ManifestError as error:
            raise errors.MalformedRequest(f"The list cannot be used: {error}.") from None
        if any(item.path for item in items):
            raise errors.MalformedRequest("Over HTTP a list names URLs, never paths.")
        return items


def router(evaluations: Evaluations) -> APIRouter:
    """The route that evaluates."""
    routes = APIRouter(tags=["evaluations"])

    @routes.post(
        "/v1/evaluations",
        summary="Score a labelled list of URLs and measure how good the verdicts are",
        response_class=Response,
        responses=problems.responses(*_RAISES)
        | {
            200: {
                "description": "A row for each video as it comes, then the figures",
                "content": {NDJSON: {"schema": {"$ref": "#/components/schemas/EvaluationEvent"}}},
            }
        },
        openapi_extra={"requestBody": _BODY},
    )
    async def evaluate_list(
        query: Annotated[EvaluationQuery, Query()], request: Request
    ) -> Response:
        return await evaluations.answer(query, request)

    return routes
