"""An evaluation on its way to the client, line by line."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Annotated, Literal

from pydantic import BaseModel, Field, RootModel
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from service.api.accept import NDJSON
from service.api.events import ErrorEvent
from service.api.presence import while_connected
from service.api.problems import document
from service.api.stream import HEADERS
from service.errors import NotReady
from service.evaluation.result import Result, result_of
from service.evaluation.rows import ItemRow
from service.evaluation.tally import Tally


class Closing(Exception):
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
    """Rows as they come, then the figures; the client's going ends it all."""

    def __init__(
        self,
        rows: AsyncGenerator[ItemRow, None],
        items: int,
        beat: float,
        request_id: str,
        ended: Callable[[], None],
    ) -> None:
        super().__init__(media_type=NDJSON, headers=HEADERS)
        # A body without an end in sight has no length.
        del self.headers["content-length"]
        self._rows, self._items, self._beat = rows, items, beat
        self._request_id, self._ended = request_id, ended

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. Raises ``ClientDisconnect``."""
        try:
            await while_connected(receive, self._send(send))
        finally:
            self._ended()

    async def _send(self, send: Send) -> None:
        head = {"status": self.status_code, "headers": self.raw_headers}
        await send({"type": "http.response.start", **head})
        async with aclosing(self._events()) as events:
            async for event in events:
                line = event.model_dump_json().encode() + b"\n"
                await send({"type": "http.response.body", "body": line, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _events(self) -> AsyncGenerator[BaseModel, None]:
        tally = Tally()
        yield CountEvent(done=0, items=self._items)
        try:
            async with aclosing(_with_beats(self._rows, self._beat)) as rows:
                async for row in rows:
                    if row is None:
                        yield CountEvent(done=len(tally.rows), items=self._items)
                    else:
                        tally.add(row)
                        yield row
        except Closing:
            stopping = NotReady("The service stops; send what is left elsewhere.")
            yield ErrorEvent(problem=document(stopping, self._request_id))
            return
        yield await asyncio.to_thread(result_of, tally)


async def _with_beats(
    rows: AsyncGenerator[ItemRow, None], beat: float
) -> AsyncGenerator[ItemRow | None, None]:
    """The rows, and None wherever none came for ``beat`` seconds."""
    coming: asyncio.Task[ItemRow | None] | None = None
    try:
        while True:
            coming = coming or asyncio.create_task(anext(rows, None))
            done, _ = await asyncio.wait([coming], timeout=beat)
            if not done:
                yield None
                continue
            row = coming.result()
            coming = None
            if row is None:
                return
            yield row
    finally:
        if coming is not None:
            coming.cancel()
            await asyncio.gather(coming, return_exceptions=True)
        await rows.aclose()
