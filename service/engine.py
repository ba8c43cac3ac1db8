"""The seam between HTTP (or the command line) and the work.

An ``Engine`` takes media and yields events. ``LocalEngine`` does the work in this process;
other engines may send it elsewhere, behind the same protocol.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Literal, Protocol

from service.classifier.contract import ModelContract
from service.report import Report, Segment
from service.sources.source import Source

Detail = Literal["summary", "clips", "full"]
Rule = Literal["max", "mean"]


@dataclass(frozen=True, slots=True)
class DetectionOptions:
    """What the caller asks for.

    ``sampling`` is ``auto``, ``full``, ``paper`` or ``stride=<seconds>``; only frames from
    ``start`` to before ``end`` are looked at (seconds; None: the whole video); of the faces in a
    frame the ``faces`` largest are followed (None: as many as the service allows). ``model`` is the
    name of a served model or ensemble; None takes the default one.
    """

    sampling: str = "auto"
    detail: Detail = "summary"
    explain: bool = False
    start: float | None = None
    end: float | None = None
    faces: int | None = None
    model: str | None = None


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
class ServedModel:
    """A loaded network. ``sha256`` is of the ONNX file; ``provider`` the ONNX Runtime execution
    provider in use, e.g. ``CPUExecutionProvider``, or ``OpenVINO CPU``; ``fallback`` whether a GPU
    was asked for and the settings let the CPU stand in."""

    contract: ModelContract
    sha256: str
    provider: str
    fallback: bool = False


@dataclass(frozen=True, slots=True)
class ServedEnsemble:
    """Several models under one name; ``rule`` says how their P(fake) are combined."""

    name: str
    rule: Rule
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether scoring is possible, and where it is not, what is missing.

    ``missing`` holds sentences for operators, without paths. ``models`` has the default one first.
    """

    ready: bool
    missing: tuple[str, ...] = ()
    models: tuple[ServedModel, ...] = ()
    ensembles: tuple[ServedEnsemble, ...] = ()
    default: str | None = None
    """Name of the model or ensemble that scores where none is asked for."""
    draining: bool = False
    """Whether the service is stopping: what it has is finished, nothing new is taken."""
    running: int = 0
    waiting: int = 0
    clips_waiting: int = 0
    """Clips of all videos that are cut and not yet scored."""
    workers: int = 0
    """Processes that read videos now."""
    worker_restarts: int = 0
    """How often what workers come from had to be made anew after one of them crashed."""
    confinement: tuple[str, ...] = ()
    """What keeps workers from the rest of this machine."""

    @property
    def model(self) -> ModelContract | None:
        """The first model's contract."""
        return self.models[0].contract if self.models else None

    @property
    def provider(self) -> str | None:
        """The first model's execution provider."""
        return self.models[0].provider if self.models else None

    @property
    def precision(self) -> str | None:
        """What the first model computes in."""
        return self.models[0].contract.precision if self.models else None


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

    async def reload(self) -> None:
        """Load the model files anew beside those that score, check and warm them, then switch
        without losing a request. Raises ``ModelError`` where a new one cannot be used; the old
        ones stay."""
        ...

    def detect(self, media: Source, options: DetectionOptions) -> AsyncGenerator[Event, None]:
        """Score one video.

        Yields ``Progress`` and ``SegmentScored`` events as they come and ends with exactly one
        ``Finished``. Raises ``ServiceError``. Closing the iterator early cancels the work.
        """
        ...
