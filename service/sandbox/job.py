"""What a child is asked to do."""

from __future__ import annotations

from dataclasses import dataclass, field

from pydantic import TypeAdapter

from service.clips import ClipSpec
from service.extraction import ExtractionLimits
from service.faces.tracking import TrackerSettings


@dataclass(frozen=True, slots=True)
class Job:
    """One extraction; see ``service.extraction.extract``.

    ``boxes``: whether every frame's boxes are wanted at the end. ``seconds`` of work at most.
    """

    specs: tuple[ClipSpec, ...]
    sampling: str
    limits: ExtractionLimits
    tracking: TrackerSettings = field(default_factory=TrackerSettings)
    start: float | None = None
    end: float | None = None
    boxes: bool = False
    seconds: float = 600.0


@dataclass(frozen=True, slots=True)
class Order:
    """A job and the size of its media in bytes."""

    job: Job
    size: int


ORDER = TypeAdapter(Order)
