"""Short videos, real and forged, taken through the service's own extraction.

These measure what is shipped: frames are forged and encoded as a video, and the service's decoder,
detector, tracker and cropper make the clips. Two seconds each, the length a verdict is taken on.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from model_export.demo.degradation import Degradation
from model_export.demo.people import Run
from model_export.demo.pool import CLIP_LENGTH, INPUT_SIZE, MARGIN, forge_run
from service.clips import Clip, ClipSpec
from service.extraction import ExtractionLimits, extract
from service.faces.detector import FaceDetector
from service.faces.mtcnn import MTCNN
from service.faces.tracking import TrackerSettings
from service.forge import FAMILIES
from service.video.deadline import Deadline
from service.video.encode import encode_video

REAL = "real"
CASE_FRAMES = 50
REAL_CASES = 4
"""Real videos of each person; forged ones are as many as there are families."""

FACE_RANGE = (90.0, 240.0)
SPEC = ClipSpec(CLIP_LENGTH, INPUT_SIZE, INPUT_SIZE, MARGIN, "clip")


@dataclass(frozen=True, slots=True)
class Case:
    """The clips of one video: uint8 (K, T, S, S, 3) RGB; ``kind`` is a family or ``real``."""

    person: str
    kind: str
    clips: NDArray[np.uint8]
    first_frames: tuple[int, ...]


def make_cases(
    person: str, runs: Mapping[str, Sequence[Run]], seed: int, rounds: int = 1
) -> list[Case]:
    """All cases of one person, ``rounds`` times with other draws.

    ``runs`` are those of everybody in the same part of the split.
    """
    cv2.setNumThreads(1)
    detector = MTCNN()
    own = runs[person]
    everybody = [run for name in sorted(runs) for run in runs[name]]
    kinds: list[str] = [*FAMILIES, *[REAL] * REAL_CASES] * rounds
    cases = []
    for place, kind in enumerate(kinds):
        rng = np.random.default_rng([seed, place, *person.encode()])
        run = own[place % len(own)]
        side = float(np.exp(rng.uniform(*np.log(FACE_RANGE))))
        run = run.scaled(min(1.0, side / run.face_side))
        frames = run.frames
        for family in FAMILIES:
            if family == kind:
                frames = forge_run(run, everybody, family, rng)[..., :3]
        cases.append(_case(person, kind, frames, rng, detector))
    return [case for case in cases if len(case.clips)]


def _case(
    person: str,
    kind: str,
    frames: NDArray[np.uint8],
    rng: np.random.Generator,
    detector: FaceDetector,
) -> Case:
    frames = Degradation.draw(rng).without_codec().apply(frames)
    data = encode_video(frames, quality=int(rng.integers(15, 26)), options={"preset": "veryfast"})
    clips = list(serve(data, detector))
    # The longest track is the person; anything else is a false face.
    tracks = [clip.track for clip in clips]
    main = max(set(tracks), key=tracks.count, default=None)
    clips = [clip for clip in clips if clip.track == main]
    pixels = np.stack([clip.pixels for clip in clips]) if clips else np.zeros((0,), np.uint8)
    return Case(person, kind, pixels, tuple(clip.first_frame for clip in clips))


def serve(data: bytes, detector: FaceDetector) -> Iterator[Clip]:
    """The clips the service would score of a video in memory."""
    for item in extract(
        data,
        SPEC,
        "full",
        detector=detector,
        tracking=TrackerSettings(),
        limits=ExtractionLimits(),
        deadline=Deadline(math.inf),
    ):
        if isinstance(item, Clip):
            yield item


def save(cases: Sequence[Case], path: Path) -> None:
    """Write an ``.npz``, whole or not at all."""
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        np.savez(
            file,
            clips=np.concatenate([case.clips for case in cases]),
            first_frames=np.concatenate([case.first_frames for case in cases]),
            counts=[len(case.clips) for case in cases],
            person=[case.person for case in cases],
            kind=[case.kind for case in cases],
        )
    part.replace(path)


def load(path: Path) -> list[Case]:
    """Read what ``save`` wrote."""
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    ends = np.cumsum(arrays["counts"])
    return [
        Case(
            str(person),
            str(kind),
            arrays["clips"][end - count : end],
            tuple(int(first) for first in arrays["first_frames"][end - count : end]),
        )
        for person, kind, end, count in zip(
            arrays["person"], arrays["kind"], ends, arrays["counts"], strict=True
        )
    ]
