"""What came of one video of a list."""

from __future__ import annotations

from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from service.evaluation.manifest import Item, Label
from service.report import FaceReport, Report, Verdict

Status = Literal["ok", "no_face", "error"]


class ClipRow(NamedTuple):
    """A clip: its place in the video (both frames inclusive, seconds) and the network's P(fake)."""

    first_frame: int
    last_frame: int
    start: float
    end: float
    raw_score: float


class FaceRow(BaseModel):
    """One track and its clips."""

    model_config = ConfigDict(frozen=True)

    id: int
    start: float
    end: float
    score: float
    clips: tuple[ClipRow, ...]


class ItemRow(BaseModel):
    """One video: its report in short, or why there is none. Never holds its URL or path."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    event: Literal["item"] = "item"
    id: str
    label: Label
    dataset: str
    group: str
    status: Status = Field(
        description="`no_face`: it was looked at, and there was no face that could be scored"
    )
    code: str | None = Field(None, description="Of errors: the code of the problem")
    verdict: Verdict | None = None
    score: float | None = Field(None, description="Of the most suspicious face")
    faces: tuple[FaceRow, ...] = ()
    threshold: float | None = Field(None, description="From which score on a video is called fake")
    calibration: str | None = Field(None, description="How that was found, or `uncalibrated`")
    abstain: str | None = Field(None, description="Why the model never decides, where it does not")
    model: str | None = Field(None, description="Name and version of what scored")
    sha256: str | None = Field(None, description="Of its ONNX file; of several, joined by `+`")
    strategy: str | None = Field(None, description="How it was trained")
    duration: float | None = Field(None, description="Of the video, seconds")
    bytes_fetched: int | None = None
    attempts: int = Field(1, description="How often it was tried")
    seconds: float = Field(0.0, description="From the first try to the end")


def row_of(item: Item, report: Report, attempts: int, seconds: float) -> ItemRow:
    """The row of a video that was looked at; ``report`` has its clips."""
    scorers = report.model.scorers
    return ItemRow(
        **_about(item),
        status="ok" if report.score is not None else "no_face",
        verdict=report.verdict,
        score=report.score,
        faces=tuple(map(_face, report.faces)),
        threshold=report.operating_point.threshold,
        calibration=report.operating_point.calibration,
        abstain=report.operating_point.abstain,
        model=f"{report.model.name} {report.model.version}",
        sha256="+".join(each.sha256 for each in scorers),
        strategy="+".join(dict.fromkeys(each.strategy for each in scorers)),
        duration=report.media.duration,
        bytes_fetched=report.coverage.bytes_fetched,
        attempts=attempts,
        seconds=seconds,
    )


def row_of_error(item: Item, code: str, attempts: int, seconds: float) -> ItemRow:
    """The row of a video that there is no report of; ``code`` is its problem's."""
    return ItemRow(**_about(item), status="error", code=code, attempts=attempts, seconds=seconds)


def _about(item: Item) -> dict[str, str]:
    return {"id": item.id, "label": item.label, "dataset": item.dataset, "group": item.group}


def _face(face: FaceReport) -> FaceRow:
    clips = [clip for segment in face.segments for clip in segment.clips or ()]
    return FaceRow(
        id=face.id,
        start=face.start,
        end=face.end,
        score=face.score,
        clips=tuple(
            ClipRow(clip.start_frame, clip.end_frame, clip.start, clip.end, clip.raw_score)
            for clip in clips
        ),
    )
