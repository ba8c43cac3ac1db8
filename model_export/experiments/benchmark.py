"""The synthetic benchmark, made and prepared as a budget says."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from model_export.data.prepare import prepare
from model_export.data.prepared import PreparedDataset
from model_export.data.readers import ReaderOptions, read_dataset
from model_export.data.worker import CutOptions
from model_export.experiments.budget import Budget
from model_export.synthetic.benchmark import ORIGIN, Options, synthesise

MARGIN = 1.25
"""Side of the crop over the longer side of the face box: tight, since the forgeries are inside."""


def prepared_benchmark(
    faces: Path,
    stills: Path | None,
    folder: Path,
    budget: Budget,
    *,
    processes: int,
    console: Console,
) -> PreparedDataset:
    """The benchmark of the people in ``faces`` as clips of ``budget.size`` pixels.

    Videos lie in ``folder/videos``, clips in ``folder/clips-<size>`` (of other than five frames
    ``clips-<size>x<length>``); what is there already is used again. Raises ``DataError``.
    """
    wanted = budget.benchmark
    options = Options(
        strength=wanted.strength,
        seed=wanted.seed,
        frames=wanted.frames,
        segments=wanted.segments,
        ratios=wanted.ratios,
    )
    videos = folder / "videos"
    synthesise(faces, stills, videos, options, processes=processes, console=console)
    # Other lengths have a folder of their own, as other sizes have.
    frames = "" if wanted.length == 5 else f"x{wanted.length}"
    clips = folder / f"clips-{budget.size}{frames}"
    prepare(
        read_dataset(videos / "manifest.csv", ReaderOptions()),
        clips,
        CutOptions(
            length=wanted.length, size=budget.size, margin=MARGIN, alignment="clip", sampling="full"
        ),
        origin=f"{ORIGIN}; strength {wanted.strength:g}",
        processes=processes,
        console=console,
    )
    return PreparedDataset(clips)
