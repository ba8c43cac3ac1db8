"""The report: what a caller is told about a video. Its JSON schema stands in the OpenAPI document.

Times are seconds from the first frame, boxes are pixels of the upright frame (x0, y0, x1, y1),
scores are P(fake) in 0..1. ``score`` is calibrated where the model is, ``raw_score`` is what the
network gave, combined the same way.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from service.classifier.contract import Metric, OperatingPoint
from service.receipt import Receipt

SCHEMA_VERSION = "1.0"

Verdict = Literal["fake", "real", "uncertain", "no_face", "unable"]
FaceVerdict = Literal["fake", "real", "uncertain"]
BoxOut = tuple[float, float, float, float]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TimedBox(_Part):
    """Where a face is in one frame."""

    frame: int
    time: float
    box: BoxOut


class ClipScore(_Part):
    """One clip: T consecutive frames of one face through the network."""

    start: float
    end: float
    start_frame: int
    end_frame: int
    score: float
    raw_score: float


class PartScore(_Part):
    """What one member of an ensemble gives by itself."""

    model: str
    score: float
    raw_score: float


class Segment(_Part):
    """Adjacent scored clips of one face, together at most one second; a single clip may last
    longer where frames are few."""

    start: float
    end: float
    start_frame: int
    end_frame: int
    """Last frame of the segment, inclusive."""
    score: float
    raw_score: float
    verdict: FaceVerdict
    box: BoxOut
    """The face's box in the segment's middle frame."""
    parts: tuple[PartScore, ...] | None = None
    """Only of ensembles: each member's own score."""
    clips: tuple[ClipScore, ...] | None = None
    """Only with ``detail=clips`` and ``detail=full``."""
    cam_png: str | None = None
    """Only with ``explain=true`` and of models that have one: the class activation map, base64
    PNG, 8-bit grey; black is
    the lowest fifth of its range, white its peak."""


class FaceReport(_Part):
    """One track: one appearance of a face, from entering to leaving or a cut."""

    id: int
    score: float
    raw_score: float
    verdict: FaceVerdict
    start: float
    """Of its first scored clip."""
    end: float
    """Of its last scored clip."""
    segments: tuple[Segment, ...]
    parts: tuple[PartScore, ...] | None = None
    """Only of ensembles: each member's own score."""
    boxes: tuple[TimedBox, ...] | None = None
    """Every frame's box, only with ``detail=full``."""


class ModelInfo(_Part):
    """Which network scored, and what is known about it."""

    name: str
    version: str
    architecture: str
    sha256: str
    """Of the ONNX file."""
    weights_sha256: str
    clip_length: int
    input_height: int
    input_width: int
    crop_margin: float
    alignment: str
    precision: str
    """How weights are stored and sums are done, e.g. ``float32``."""
    trained_on: str
    strategy: str
    licence: str
    metrics: tuple[Metric, ...]
    notice: str
    provider: str
    """What ran it: an ONNX Runtime execution provider or ``OpenVINO CPU``."""
    detector: str
    """The face detector that found the faces."""
    fallback: bool = False
    """Whether a GPU was asked for and the CPU stood in."""

    @property
    def scorers(self) -> tuple[ModelInfo, ...]:
        """The networks that scored: itself."""
        return (self,)


class EnsembleInfo(_Part):
    """Which networks scored together."""

    name: str
    rule: Literal["max", "mean"]
    """How the members' calibrated P(fake) of each window are combined; ``raw_score`` is the same
    as ``score``."""
    members: tuple[ModelInfo, ...]

    @property
    def scorers(self) -> tuple[ModelInfo, ...]:
        """The networks that scored."""
        return self.members

    @property
    def version(self) -> str:
        """Of all members."""
        return "+".join(member.version for member in self.members)

    @property
    def detector(self) -> str:
        """The face detector that found the faces."""
        return self.members[0].detector


class MediaInfo(_Part):
    """What was sent, or found behind the URL."""

    sha256: str | None
    """Of every byte; null where only parts of them were fetched."""
    bytes: int
    """Of the whole."""
    container: str
    codec: str
    width: int
    """Of the first frame, upright, after the rotation the container asks for."""
    height: int
    fps: float | None
    duration: float
    """Seconds."""
    frames: int


class Coverage(_Part):
    """What was looked at and what was not."""

    sampling: str
    """The sampling used: ``full``, ``stride=<seconds>`` or ``paper``."""
    start: float
    """Seconds into the video from which on it was looked at."""
    end: float
    """Seconds into the video up to which it was looked at."""
    frames_in_video: int
    frames_decoded: int
    frames_damaged: int
    frames_with_face: int
    faces_kept: int
    faces_dropped: dict[str, int]
    """Detections or tracks not scored, by reason."""
    clips_scored: int
    clips_dropped: dict[str, int]
    """Windows of a face that could not become a clip, by reason."""
    longest_unscored: float
    """Seconds of the longest stretch in which no clip was scored, up to the announced end."""
    seconds_missing: float
    """Seconds that the file announces beyond its last picture; 0 where it is whole."""
    bytes_fetched: int
    """Bytes of media that came from outside, what was fetched twice counted twice."""


class Timing(_Part):
    """Seconds spent."""

    fetch: float
    """In which the origin of a URL was waited for."""
    queued: float
    extract: float
    """Decode, detect, track and crop."""
    classify: float
    """The device's, shared between the clips of a batch."""
    halted: float
    """In which reading had to wait for shorter videos."""
    held_back: float
    """In which reading had to wait for the device."""
    total: float


class Report(_Part):
    """Which faces at which seconds are likely forged."""

    schema_version: str = SCHEMA_VERSION
    verdict: Verdict
    score: float | None = Field(description="P(fake) of the most suspicious face; null without one")
    raw_score: float | None
    reasons: tuple[str, ...]
    """Why the verdict is what it is, where that needs saying; plain English."""
    operating_point: OperatingPoint
    model: ModelInfo | EnsembleInfo
    media: MediaInfo
    coverage: Coverage
    faces: tuple[FaceReport, ...]
    timing: Timing
    receipt: Receipt | None = None
    """Only where one was asked for."""
