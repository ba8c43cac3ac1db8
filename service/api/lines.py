"""An evaluation on its way to the client, line by line."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, RootModel
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from service.api.accept import NDJSON
from service.api.events import ErrorEvent
from service.api.presence import while_connected
from service.api.problems import document, note
from service.api.stream import HEADERS
from service.errors import NotReady, ServiceError
from service.evaluation.result import Result, result_of
from service.evaluation.rows import ItemRow
from service.evaluation.running import Stopped
from service.evaluation.tally import Tally
from service.logs import origin

_log = logging.getLogger("service.evaluation")


class Closing(Stopped):
    """The service stops: no more videos are taken."""


class CountEvent(BaseModel):
    """How far the list is. It comes again where nothing else did for a while."""

    event: Literal["progress"] = "progress"
    done: int = Field(description="Videos that have their row")
    items: int = Field(description="Videos of the list")


class EvaluationEvent(
    RootModel[Annotated[CountEvent | ItemRow | Result | ErrorEvent, Field(discriminator="event")]]
):
    """One line of NDJSON. ``result`` or ``error`` is the last."""


class Lines(Response):
    """Rows as they come, then the figures; the client's going ends it all. ``ended`` is called when
    nothing of it runs any more."""

    def __init__(
        self,
        rows: AsyncGenerator[ItemRow, None],
        tally: Tally,
        items: int,
        *,
        beat: float,
        request_id: str,
        ended: Callable[[], None],
    ) -> None:
        super().__init__(media_type=NDJSON, headers=HEADERS)
        # A body without an end in sight has no length.
        del self.headers["content-length"]
        self._rows, self._tally, self._items, self._beat = rows, tally, items, beat
        self._request_id, self._ended = request_id, ended
        self._measuring: asyncio.Task[Result] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. Raises ``ClientDisconnect``."""
        try:
            await while_connected(receive, self._send(scope, send))
        finally:
            if self._measuring is None or self._measuring.done():
                self._ended()
            else:
                # A thread cannot be stopped: its list holds its place until then.
                self._measuring.add_done_callback(lambda _: self._ended())

    async def _send(self, scope: Scope, send: Send) -> None:
        head = {"status": self.status_code, "headers": self.raw_headers}
        await send({"type": "http.response.start", **head})
        async with aclosing(self._events()) as events:
            async for event in events:
                if isinstance(event, ErrorEvent):
                    note(scope, event.problem.code)
                line = event.model_dump_json().encode() + b"\n"
                await send({"type": "http.response.body", "body": line, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _events(self) -> AsyncGenerator[BaseModel, None]:
        yield self._count()
        try:
            async with aclosing(self._rows) as rows:
                while True:
                    coming = asyncio.ensure_future(anext(rows, None))
                    async with aclosing(self._beats(coming)) as beats:
                        async for beat in beats:
                            yield beat
                    row = coming.result()
                    if row is None:
                        break
                    self._tally.add(row)
                    yield row
            self._measuring = asyncio.create_task(asyncio.to_thread(result_of, self._tally))
            async with aclosing(self._beats(asyncio.shield(self._measuring))) as beats:
                async for beat in beats:
                    yield beat
            yield self._measuring.result()
        except Closing:
            yield self._problem(NotReady("The service stops; send what is left elsewhere."))
        except Exception as error:
            _log.error("failed", extra={"fields": {"request_id": self._request_id} | origin(error)})
            yield self._problem(ServiceError("Something failed inside the service."))

    async def _beats(self, coming: asyncio.Future[Any]) -> AsyncGenerator[CountEvent, None]:
        """A sign of life now and then until it is there. Cancels it where nobody waits any more."""
        try:
            while not (await asyncio.wait([coming], timeout=self._beat))[0]:
                yield self._count()
        finally:
            if not coming.done():
                coming.cancel()
                await asyncio.gather(coming, return_exceptions=True)

    def _count(self) -> CountEvent:
        return CountEvent(done=len(self._tally.rows), items=self._items)

    def _problem(self, error: ServiceError) -> ErrorEvent:
        return ErrorEvent(problem=document(error, self._request_id))
