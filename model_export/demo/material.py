"""What the model in the box learns from: forged videos of the people in a folder, cut into clips.

Photographs add people to training. Their forgeries have weaker traces than those of the videos, so
that the network meets more than one strength.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from model_export.data.prepare import prepare
from model_export.data.prepared import PreparedDataset
from model_export.data.readers import ReaderOptions, read_dataset
from model_export.data.split import prove_disjoint
from model_export.data.video import REAL, LabelledVideo, Part
from model_export.data.worker import CutOptions
from model_export.synthetic.benchmark import ORIGIN, Options, synthesise
from model_export.synthetic.methods import METHODS
from model_export.synthetic.people import Ratios

KNOWN = tuple(name for name, method in METHODS.items() if not method.held_out)
"""Forgeries that are trained on."""
UNSEEN = tuple(name for name, method in METHODS.items() if method.held_out)
"""Forgeries that are only measured on: they stand for a family the network has not met."""

RATIOS: Ratios = (12, 3, 6)
"""People who train, validate and test, of 21."""
WEAKER = 0.7
"""Strength of forged photographs over that of forged videos."""
STILL = "still-"
"""What the benchmark puts before the name of a photograph that lends a face."""

CUT = CutOptions(length=5, size=128, margin=1.25, alignment="clip", sampling="full", faces="track")


@dataclass(frozen=True, slots=True)
class Amount:
    """``strength`` of the forgeries; ``segments``, the most stretches of one video, of ``frames``
    frames each; ``seed`` of everything that is drawn; ``ratios`` of people who train, validate and
    test: swaps need two in each part."""

    strength: float = 1.0
    segments: int = 12
    frames: int = 50
    seed: int = 0
    ratios: Ratios = RATIOS


def make_material(
    faces: Path,
    stills: Path | None,
    work: Path,
    amount: Amount,
    *,
    processes: int,
    console: Console,
) -> PreparedDataset:
    """Forge the people in ``faces``, and for training those in ``stills``, and cut the clips.

    Videos lie in ``work/videos`` and ``work/photographs``, clips in ``work/prepared``; what is
    there already is used again. Raises ``DataError``, also where they are of other people or
    options.
    """
    options = Options(
        strength=amount.strength,
        seed=amount.seed,
        frames=amount.frames,
        segments=amount.segments,
        ratios=amount.ratios,
    )
    synthesise(faces, stills, work / "videos", options, processes=processes, console=console)
    videos = read_dataset(work / "videos" / "manifest.csv", ReaderOptions())
    if stills:
        weaker = replace(
            options, strength=WEAKER * amount.strength, segments=1, methods=KNOWN, ratios=(1, 0, 0)
        )
        folder = work / "photographs"
        synthesise(stills, None, folder, weaker, processes=processes, console=console)
        videos += _as_stills(read_dataset(folder / "manifest.csv", ReaderOptions()))
        prove_disjoint(videos)
    prepare(
        videos,
        work / "prepared",
        CUT,
        origin=f"{ORIGIN}; strength {amount.strength:g}",
        processes=processes,
        console=console,
    )
    return PreparedDataset(work / "prepared")


def shown(dataset: PreparedDataset) -> dict[str, str]:
    """Whose video it was before it was forged, by video: the lender of a face is not meant."""
    videos = [row.video for row in dataset.videos()]
    real = {video.id: next(iter(video.people)) for video in videos if video.label == "real"}
    origin = {video.id: video.twin or video.id for video in videos}
    return {id: real[twin] for id, twin in origin.items() if twin in real}


def people(dataset: PreparedDataset, part: Part) -> list[str]:
    """Everybody who is seen in a real video of one part, by name."""
    return sorted(set[str]().union(*(row.video.people for row in dataset.videos(part, [REAL]))))


def _as_stills(videos: Sequence[LabelledVideo]) -> list[LabelledVideo]:
    """The same with the names that these people have as lenders of faces."""

    def named(names: frozenset[str]) -> frozenset[str]:
        return frozenset(STILL + name for name in names)

    return [
        replace(
            video,
            id=STILL + video.id,
            people=named(video.people),
            sources=named(video.sources),
            twin=video.twin and STILL + video.twin,
        )
        for video in videos
    ]
