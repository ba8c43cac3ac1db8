"""Making the videos of one stretch: read, forge, degrade, encode."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from model_export.data.video import REAL, LabelledVideo
from model_export.errors import DataError
from model_export.synthetic.forging import Recording, finish, forge_segment
from model_export.synthetic.jobs import Job
from model_export.synthetic.methods import METHODS
from model_export.synthetic.people import generator
from model_export.synthetic.segments import read
from service.errors import ServiceError


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
    failed: dict[str, tuple[str, str]] = {}
    missing = []
    for video in job.videos():
        if _swaps(video) and job.donor is None:
            message = f"{video.id}: nobody else in {job.person.part} can lend a face"
            failed[video.id] = "no_donor", message
        elif not (workshop.folder / video.location).exists():
            missing.append(video)
    try:
        _make(workshop, job, missing)
    except OSError as error:
        failed |= {video.id: ("unreadable", str(error.strerror)) for video in missing}
    except ServiceError as error:
        failed |= {video.id: (error.code, error.detail) for video in missing}
    return [
        Row(v.id, v.location, job.person.part, v.method, *failed.get(v.id, ("ok", "")))
        for v in job.videos()
    ]


def write(path: Path, data: bytes) -> None:
    """Write a file, whole or not at all. Raises ``DataError`` naming it."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(data)
        part.replace(path)
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)


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


def _swaps(video: LabelledVideo) -> bool:
    return video.method != REAL and METHODS[video.method].needs_donor
