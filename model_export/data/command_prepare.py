"""``deepfake-models data prepare``: from videos to clips that can be trained on."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from model_export.data.arguments import (
    CompressionOption,
    DatasetArgument,
    LayoutOption,
    MethodOption,
    OverlapOption,
    RatiosOption,
    SeedOption,
    SeparatorOption,
    SplitOption,
    SplitsOption,
)
from model_export.refusals import refusals

_CLIPS = "How clips are cut: the options of the model that is to be trained"


def prepare(
    dataset: DatasetArgument,
    output: Annotated[
        Path, typer.Argument(help="Folder for the clips; is taken up again.", metavar="OUT")
    ],
    length: Annotated[
        int, typer.Option(help="Frames in a clip (T).", min=1, max=64, rich_help_panel=_CLIPS)
    ] = 5,
    size: Annotated[
        int,
        typer.Option(help="Side of the crops in pixels.", min=16, max=1024, rich_help_panel=_CLIPS),
    ] = 240,
    margin: Annotated[
        float,
        typer.Option(
            help="Side of the square crop over the face box's longer side.",
            min=1,
            max=3,
            rich_help_panel=_CLIPS,
        ),
    ] = 1.3,
    alignment: Annotated[
        Literal["per_frame", "clip"],
        typer.Option(
            help="**per_frame**: each frame around its own face box, as in the papers; "
            "**clip**: one common square for a clip.",
            rich_help_panel=_CLIPS,
        ),
    ] = "per_frame",
    sampling: Annotated[
        str,
        typer.Option(
            help="**paper**: 80 frames a video (16 clips of 5); **full**, **auto** or "
            "**stride=SECONDS** as the service's.",
            rich_help_panel=_CLIPS,
        ),
    ] = "paper",
    faces: Annotated[
        Literal["main", "track", "all"],
        typer.Option(
            help="**main**: the main face, which the label belongs to; **track**: its longest "
            "uninterrupted appearance alone; **all**: every face.",
            rich_help_panel=_CLIPS,
        ),
    ] = "main",
    detector: Annotated[
        Literal["auto", "mtcnn", "insightface"],
        typer.Option(
            help="**auto** takes insightface where its path is given, else mtcnn.",
            rich_help_panel=_CLIPS,
        ),
    ] = "auto",
    detector_path: Annotated[
        Path | None,
        typer.Option(
            help="InsightFace detection model or pack folder (non-commercial research only).",
            show_default=False,
            rich_help_panel=_CLIPS,
        ),
    ] = None,
    origin: Annotated[
        str | None,
        typer.Option(
            help="Where the videos come from, in words; models trained on them say it. "
            "Default: what a synthetic benchmark says of itself, else the dataset's name.",
            show_default=False,
        ),
    ] = None,
    processes: Annotated[
        int | None,
        typer.Option(
            "--processes",
            "-j",
            help="Videos prepared at the same time. Default: one per core.",
            min=1,
            show_default=False,
        ),
    ] = None,
    on_error: Annotated[
        Literal["continue", "stop"],
        typer.Option(
            help="What to do after a video that gives no clips (it is listed either way), and "
            "where a part that trains or validates has no real or no forged video."
        ),
    ] = "continue",
    layout: LayoutOption = None,
    method: MethodOption = None,
    compression: CompressionOption = "c23",
    split: SplitOption = None,
    splits: SplitsOption = None,
    ratios: RatiosOption = (0.75, 0.125, 0.125),
    seed: SeedOption = 0,
    overlap: OverlapOption = "drop",
    separator: SeparatorOption = None,
) -> None:
    """Cut the clips of all videos of DATASET into OUT exactly as the service would.

    Videos that give no clips are listed with the reason in OUT/videos.csv. A run that was
    interrupted is taken up again by the same command.

    Example: **deepfake-models data prepare FaceForensics++/ prepared/ff -j 8**
    """

    console = Console(stderr=True, highlight=False)
    with refusals():
        from model_export.data.check import obstacles
        from model_export.data.prepare import prepare as prepare_videos
        from model_export.data.readers import ReaderOptions, read
        from model_export.data.report import closing_table
        from model_export.data.worker import CutOptions
        from model_export.errors import DataError

        reading = read(
            dataset,
            ReaderOptions(
                layout=layout,
                compression=compression,
                split=split,
                splits=splits,
                methods=tuple(method) if method else None,
                ratios=ratios,
                seed=seed,
                overlap=overlap,
                separator=separator,
            ),
        )
        for note in reading.notes:
            console.print(note, markup=False, soft_wrap=True)
        if reading.left_out:
            left_out = f"{len(reading.left_out):,} files are left out"
            console.print(f"{left_out}: deepfake-models data check says why", soft_wrap=True)
        # Hours of decoding should not come first.
        known = obstacles(reading.videos)
        if known and on_error == "stop":
            raise DataError(f"nothing can be trained on this: {known[0]}")
        _warn(known, console)
        rows = prepare_videos(
            list(reading.videos),
            output,
            CutOptions(
                length=length,
                size=size,
                margin=margin,
                alignment=alignment,
                sampling=sampling,
                faces=faces,
                detector=detector,
                detector_path=detector_path,
            ),
            origin=origin or _origin(dataset.resolve()),
            processes=processes or len(os.sched_getaffinity(0)),
            stop_on_failure=on_error == "stop",
            console=console,
        )
        out = Console(highlight=False)
        out.print(closing_table(rows))
        out.print(f"every video: {output / 'videos.csv'}", markup=False, soft_wrap=True)
        if not any(row.clips for row in rows):
            raise DataError(f"not one of {len(rows)} videos gave clips; {rows[0].message}")
        left = obstacles([row.video for row in rows if row.clips])
        _warn([each for each in left if each not in known], console, " that gave clips")


def _warn(obstacles: Iterable[str], console: Console, which: str = "") -> None:
    for obstacle in obstacles:
        warning = f"Nothing can be trained on this: {obstacle}{which}."
        console.print(warning, style="red", markup=False, soft_wrap=True)


def _origin(dataset: Path) -> str:
    """What a synthetic benchmark says of itself; else a folder's name, and a manifest's with its
    folder's, since most have the same."""
    folder = dataset if dataset.is_dir() else dataset.parent
    try:
        said = json.loads((folder / "benchmark.json").read_text())["origin"]
        return str(said)
    except (OSError, ValueError, KeyError, TypeError):
        return dataset.name if dataset.is_dir() else f"{folder.name}/{dataset.name}"
