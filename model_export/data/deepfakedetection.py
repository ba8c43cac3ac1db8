"""DeepFakeDetection, the part of FaceForensics++ with paid actors (DFD).

Under ``original_sequences/actors`` lie the real videos ``<actor>__<scene>.mp4``, under
``manipulated_sequences/DeepFakeDetection`` the fakes ``<target>_<source>__<scene>__<run>.mp4``: the
target's video of that scene with the source's face. As in the papers, 300 real videos and 300
fakes are drawn, 250 to train, 25 to validate, 25 to test; here no actor is in two parts.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from model_export.data.naming import compressed, drawn, identifier
from model_export.data.people import draw_people
from model_export.data.reading import (
    Collection,
    LeftOut,
    ReaderOptions,
    Reading,
    with_twins_there,
)
from model_export.data.split import place
from model_export.data.video import PARTS, REAL, Label, LabelledVideo, Part

METHOD = "DFD"
REAL_VIDEOS, FAKE_VIDEOS = 363, 3068
"""How many there are in the whole dataset."""

DRAWN: dict[Part, int] = {"train": 250, "validation": 25, "test": 25}
"""How many of each class the papers take."""

_REAL = re.compile(r"(\d\d)__(.+)")
_FAKE = re.compile(r"(\d\d)_(\d\d)__(.+)__[^_]+")


def read(path: Path, options: ReaderOptions) -> Reading:
    """The drawn videos; ``options.seed`` decides who is where and which are taken."""
    real_folder = compressed(path / "original_sequences" / "actors", options.compression)
    fake_folder = compressed(
        path / "manipulated_sequences" / "DeepFakeDetection", options.compression
    )
    real_files = sorted(real_folder.glob("*.mp4"))
    fake_files = sorted(fake_folder.glob("*.mp4"))
    strange: list[LeftOut] = []
    videos: list[LabelledVideo] = []
    for file in (*real_files, *fake_files):
        video = _real(file) if file.parent == real_folder else _fake(file)
        if video is None:
            reason = "not a name of DeepFakeDetection"
            strange.append(LeftOut(str(file), METHOD, None, reason))
        else:
            videos.append(video)
    wanted = _wanted(videos)
    homes = draw_people(videos, {part: (n, n) for part, n in wanted.items()}, options.seed)
    # Fakes between the parts are no leak that could be refused: they are not among the drawn.
    placed, crossing = place(videos, homes, "drop")
    taken, surplus = _draw(placed, wanted, options.seed)
    return Reading(
        layout="faceforensics",
        videos=with_twins_there(taken),
        left_out=[*strange, *crossing, *surplus],
        collections=[
            Collection(str(real_folder.relative_to(path)), REAL, len(real_files), REAL_VIDEOS),
            Collection(str(fake_folder.relative_to(path)), METHOD, len(fake_files), FAKE_VIDEOS),
        ],
        notes=[_note(taken, wanted, options.seed)],
    )


def _real(file: Path) -> LabelledVideo | None:
    named = _REAL.fullmatch(file.stem)
    if named is None:
        return None
    return LabelledVideo(
        id=identifier(REAL, file.stem),
        location=str(file),
        label="real",
        method=REAL,
        part=None,
        people=frozenset({_person(named[1])}),
        sources=frozenset({_source(file.stem)}),
    )


def _fake(file: Path) -> LabelledVideo | None:
    named = _FAKE.fullmatch(file.stem)
    if named is None:
        return None
    original = f"{named[1]}__{named[3]}"
    return LabelledVideo(
        id=identifier(METHOD, file.stem),
        location=str(file),
        label="fake",
        method=METHOD,
        part=None,
        people=frozenset({_person(named[1]), _person(named[2])}),
        sources=frozenset({_source(original)}),
        twin=identifier(REAL, original),
    )


def _person(actor: str) -> str:
    return f"dfd-{actor}"


def _source(stem: str) -> str:
    return identifier("dfd", stem)


def _wanted(videos: list[LabelledVideo]) -> dict[Part, int]:
    """What the papers draw, or as much less as fewer videos are there."""
    there = Counter(video.label for video in videos)
    share = min(1.0, *(there[label] / sum(DRAWN.values()) for label in ("real", "fake")))
    return {part: max(1, round(number * share)) for part, number in DRAWN.items()}


def _draw(
    videos: list[LabelledVideo], wanted: dict[Part, int], seed: int
) -> tuple[list[LabelledVideo], list[LeftOut]]:
    taken: Counter[tuple[Part | None, Label]] = Counter()
    chosen: set[str] = set()
    for video in sorted(videos, key=lambda video: drawn(seed, video.id)):
        kind = (video.part, video.label)
        if video.part is not None and taken[kind] < wanted[video.part]:
            taken[kind] += 1
            chosen.add(video.id)
    surplus = [
        LeftOut(video.location, video.method, video.part, "not among the videos drawn")
        for video in videos
        if video.id not in chosen
    ]
    return [video for video in videos if video.id in chosen], surplus


def _note(videos: list[LabelledVideo], wanted: dict[Part, int], seed: int) -> str:
    """What was obtained, since with no actor in two parts it can be less than wanted."""
    sentences = []
    for part in PARTS:
        inside = [video for video in videos if video.part == part]
        labels = Counter(video.label for video in inside)
        people = {name for video in inside for name in video.people}
        sentences.append(
            f"{part} {labels['real']} real and {labels['fake']} fake of {wanted[part]} each, "
            f"{len(people)} actors"
        )
    return f"DeepFakeDetection, drawn with seed {seed}: {'; '.join(sentences)}."
