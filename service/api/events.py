"""The events of a detection as they stand in a stream."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field, RootModel

from service.api.accept import SSE
from service.api.problems import Problem, document
from service.engine import Progress, SegmentScored
from service.report import Report, Segment
from service.work import Outcome


class ProgressEvent(BaseModel):
    """How far the work is. It comes again where nothing else did for a while."""

    event: Literal["progress"] = "progress"
    position: float = Field(description="Seconds of the video that were reached")
    duration: float = Field(description="Of so many; 0 while that is not known")
    clips: int = Field(description="Clips scored so far")

    @classmethod
    def of(cls, progress: Progress | None) -> ProgressEvent:
        """Nothing is progress as well: the video waits."""
        if progress is None:
            return cls(position=0.0, duration=0.0, clips=0)
        return cls(position=progress.position, duration=progress.duration, clips=progress.clips)


class SegmentEvent(BaseModel):
    """One segment of one face has its score."""

    event: Literal["segment"] = "segment"
    face: int
    segment: Segment


class ReportEvent(BaseModel):
    """The last event of a detection that went well."""

    event: Literal["report"] = "report"
    report: Report


class ErrorEvent(BaseModel):
    """The last event of one that did not."""

    event: Literal["error"] = "error"
    problem: Problem


class StreamedEvent(
    RootModel[
        Annotated[
            ProgressEvent | SegmentEvent | ReportEvent | ErrorEvent, Field(discriminator="event")
        ]
    ]
):
    """One line of NDJSON, or the data of one server-sent event."""


def told(event: Progress | SegmentScored | None, latest: Progress | None, form: str) -> bytes:
    """An event on its way; None is a sign of life: a comment, or the latest progress again."""
    if event is None and form == SSE:
        return b":\n\n"
    if isinstance(event, SegmentScored):
        return _framed(SegmentEvent(face=event.face, segment=event.segment), form)
    return _framed(ProgressEvent.of(event or latest), form)


def last(outcome: Outcome, request_id: str, form: str) -> tuple[bytes, ...]:
    """The event that ends a stream, in parts: the report is not copied."""
    if outcome.error is not None:
        return (_framed(ErrorEvent(problem=document(outcome.error, request_id)), form),)
    before, after = _frame("report", b'{"event":"report","report":\0}', form).split(b"\0")
    return before, outcome.report, after


def _framed(event: ProgressEvent | SegmentEvent | ErrorEvent, form: str) -> bytes:
    return _frame(event.event, event.model_dump_json().encode(), form)


def _frame(name: str, line: bytes, form: str) -> bytes:
    if form == SSE:
        return b"event: " + name.encode() + b"\ndata: " + line + b"\n\n"
    return line + b"\n"
