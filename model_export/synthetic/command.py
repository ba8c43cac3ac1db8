"""``deepfake-models data synthesise``: a benchmark of made-up forgeries."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from model_export.data.video import PARTS
from model_export.refusals import refusals


def synthesise(
    faces: Annotated[
        Path,
        typer.Argument(
            help="Folder of videos of real faces, one person a file; photographs become videos by "
            "moving the camera.",
            exists=True,
            file_okay=False,
        ),
    ],
    output: Annotated[
        Path, typer.Argument(help="Folder to make the benchmark in; is taken up again.")
    ],
    stills: Annotated[
        Path | None,
        typer.Option(
            help="Folder of photographs that lend faces to training videos.",
            exists=True,
            file_okay=False,
        ),
    ] = None,
    strength: Annotated[
        float, typer.Option(help="Size of the forgeries' traces, above 0; more is easier.", max=1.5)
    ] = 1.0,
    seed: Annotated[int, typer.Option(help="Seed of everything that is drawn.", min=0)] = 0,
    frames: Annotated[int, typer.Option(help="Frames of each video.", min=2, max=1000)] = 40,
    segments: Annotated[
        int, typer.Option(help="Stretches cut out of each file, at most.", min=1)
    ] = 3,
    methods: Annotated[
        str | None,
        typer.Option(
            help="Which forgeries, with commas: DF, FS, F2F, NT, DFD, DFW. Default: all.",
            show_default=False,
        ),
    ] = None,
    ratios: Annotated[
        tuple[float, float, float],
        typer.Option(help="Shares of people who train, validate and test."),
    ] = (0.6, 0.2, 0.2),
    processes: Annotated[int, typer.Option(help="Processes that work.", min=1)] = 1,
    strict: Annotated[
        bool, typer.Option("--strict", help="Stop where a file cannot be used.")
    ] = False,
) -> None:
    """Make a benchmark without any download: stretches of the videos in FACES and their forgeries.

    The methods are **stand-ins** for DF, FS, F2F, NT, DFD and DFW, made with plain image
    processing; figures measured on them say nothing about the datasets of these names. People are
    in one part each, DFW is never trained on. OUTPUT/manifest.csv lists the videos,
    OUTPUT/report.csv also what could not be used.

    Example: **deepfake-models data synthesise faces/ benchmark/ --processes 4**
    """
    from model_export.data.naming import shown
    from model_export.synthetic.benchmark import Options, synthesise
    from model_export.synthetic.methods import METHODS

    chosen = tuple(
        dict.fromkeys(name.strip() for name in (methods or ",".join(METHODS)).split(","))
    )
    options = Options(strength, seed, frames, segments, chosen, ratios)
    console = Console(highlight=False)
    with refusals():
        made = synthesise(
            faces, stills, output, options, processes=processes, console=console, strict=strict
        )
    table = Table("method", *PARTS)
    for method in ("real", *chosen):
        counts = Counter(video.part for video in made.videos if video.method == method)
        table.add_row(method, *(str(counts[part]) for part in PARTS))
    console.print(table)
    for row in made.failures:
        failure = shown(f"{row.id}: {row.status}: {row.message}")
        console.print(failure, markup=False, soft_wrap=True)
    total = f"{output / 'manifest.csv'}: {len(made.videos)} videos"
    console.print(total, markup=False, soft_wrap=True)
