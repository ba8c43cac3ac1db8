"""The seam between HTTP (or the command line) and the work.

An ``Engine`` takes a media and yields events. ``LocalEngine`` does the work in this process;
other engines may send it elsewhere, behind the same protocol.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Literal, Protocol

from service.classifier.contract import ModelContract
from service.report import Report, Segment

Detail = Literal["summary", "full"]


@dataclass(frozen=True, slots=True)
class Media:
    """A whole video in memory, as received. ``sha256`` is lower-case hex of ``data``."""

    data: bytes
    sha256: str


@dataclass(frozen=True, slots=True)
class DetectionOptions:
    """What the caller asks for.

    ``sampling`` is ``auto``, ``full``, ``paper`` or ``stride=<seconds>``.
    """

    sampling: str = "auto"
    detail: Detail = "summary"
    explain: bool = False


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the work is: video time reached, of how much (seconds), clips scored so far."""

    position: float
    duration: float
    clips: int


@dataclass(frozen=True, slots=True)
class SegmentScored:
    """One segment of one face has its score."""

    face: int
    segment: Segment


@dataclass(frozen=True, slots=True)
class Finished:
    """The last event of a detection that went well."""

    report: Report


Event = Progress | SegmentScored | Finished


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether scoring is possible, and where it is not, what is missing.

    ``missing`` holds sentences for operators, without paths.
    """

    ready: bool
    missing: tuple[str, ...] = ()
    model: ModelContract | None = None
    provider: str | None = None
    """ONNX Runtime execution provider in use, e.g. ``CPUExecutionProvider``."""
    running: int = 0
    waiting: int = 0


class Engine(Protocol):
    """Scores videos."""

    async def start(self) -> None:
        """Load model and detector. Never raises for what an operator can mend: see readiness."""
        ...

    async def stop(self) -> None:
        """Take no more work, cancel what still runs and release everything. Cancelled and waiting
        detections raise ``NotReady``."""
        ...

    def readiness(self) -> Readiness:
        """The state now; cheap, callable at any time."""
        ...

    def detect(self, media: Media, options: DetectionOptions) -> AsyncIterator[Event]:
        """Score one video.

        Yields ``Progress`` and ``SegmentScored`` events as they come and ends with exactly one
        ``Finished``. Raises ``ServiceError``. Closing the iterator early cancels the work.
        """
        ...
