"""Making the videos of one stretch: read, forge, degrade, encode."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from model_export.data.video import REAL, LabelledVideo
from model_export.errors import DataError
from model_export.files import replace_bytes
from model_export.synthetic.forging import Recording, finish, forge_segment
from model_export.synthetic.jobs import Job
from model_export.synthetic.methods import METHODS
from model_export.synthetic.people import generator
from model_export.synthetic.segments import Unusable, read


@dataclass(frozen=True, slots=True)
class Workshop:
    """Where and how videos are made: the benchmark's folder, frames of a video, strength, seed."""

    folder: Path
    frames: int
    strength: float
    seed: int


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the report, of a file that was looked at or a video that was to be made.
    ``status`` is ``ok`` or a stable code."""

    id: str
    location: str
    part: str
    method: str
    status: str
    message: str


def produce(workshop: Workshop, job: Job) -> list[Row]:
    """The videos of one stretch; those that are there already are kept. Raises ``DataError`` where
    one cannot be written."""
    failed: tuple[str, str] | None = None
    missing = _missing(workshop, job)
    try:
        _make(workshop, job, missing)
    except Unusable as error:
        failed = error.status, str(error)
    return _rows(job, missing, failed)


def lost(workshop: Workshop, job: Job) -> list[Row]:
    """The rows of a stretch on which the process died: what it had made until then is kept."""
    lender = f" or {job.donor[0].path}" if job.donor else ""
    reason = f"{job.person.path}{lender}: the process that forged it died"
    return _rows(job, _missing(workshop, job), ("crashed", reason))


def _missing(workshop: Workshop, job: Job) -> list[LabelledVideo]:
    """What is to be made."""
    return [
        video
        for video in job.videos()
        if not _lacks_donor(video, job) and not (workshop.folder / video.location).exists()
    ]


def _rows(job: Job, missing: Sequence[LabelledVideo], failed: tuple[str, str] | None) -> list[Row]:
    """One for each video; ``failed``: status and message of those that were ``missing``."""
    rows = []
    for video in job.videos():
        outcome = "ok", ""
        if _lacks_donor(video, job):
            message = f"{video.id}: nobody else in {job.person.part} can lend a face"
            outcome = "no_donor", message
        elif failed and video in missing:
            outcome = failed
        rows.append(Row(video.id, video.location, job.person.part, video.method, *outcome))
    return rows


def write(path: Path, data: bytes) -> None:
    """Write a file, whole or not at all. Raises ``DataError`` naming it."""
    try:
        replace_bytes(path, data)
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror}") from error


def _make(workshop: Workshop, job: Job, videos: Sequence[LabelledVideo]) -> None:
    if not videos:
        return
    recording = Recording.draw(generator(workshop.seed, "recording", job.id))
    segment = read(job.person, job.found, workshop.frames, recording.side)
    donor = None
    if job.donor and any(map(_swaps, videos)):
        donor = read(*job.donor, workshop.frames)
    for video in videos:
        rng = generator(workshop.seed, video.id)
        frames, plan = segment.frames, None
        if video.method != REAL:
            plan = METHODS[video.method].draw(rng, workshop.strength)
            frames, _ = forge_segment(segment, plan, donor, rng)
        frames = recording.apply(frames)
        if plan and plan.finish:
            frames = finish(frames, plan.finish, rng)
        write(workshop.folder / video.location, recording.encode(frames, job.found.rate))


def _lacks_donor(video: LabelledVideo, job: Job) -> bool:
    return _swaps(video) and job.donor is None


def _swaps(video: LabelledVideo) -> bool:
    return video.method != REAL and METHODS[video.method].needs_donor
