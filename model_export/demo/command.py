"""``deepfake-models train-demo``: the model in the box from videos to ONNX and card."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from model_export.refusals import refusals


def train_demo(
    faces: Annotated[
        Path,
        typer.Argument(help="Folder of videos, one person a file.", exists=True, file_okay=False),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="ONNX file; its card is written beside it.")
    ] = Path("service/models/clrnet-demo.onnx"),
    stills: Annotated[
        Path | None,
        typer.Option(
            help="Folder of photographs of others, for training only.", exists=True, file_okay=False
        ),
    ] = None,
    work: Annotated[
        Path, typer.Option(help="Folder for videos, clips and runs; is taken up again.")
    ] = Path("runs/demo"),
    segments: Annotated[
        int, typer.Option(help="Stretches of two seconds cut out of each video, at most.", min=1)
    ] = 12,
    strength: Annotated[
        float, typer.Option(help="Size of the forgeries' traces, above 0; more is easier.", max=1.5)
    ] = 1.0,
    frames: Annotated[
        int, typer.Option(help="Single frames to train on, real and forged.", min=2)
    ] = 180_000,
    clips: Annotated[
        int, typer.Option(help="Five-frame clips to train on, real and forged.", min=2)
    ] = 14_000,
    filters: Annotated[int, typer.Option(help="Width of the first stage.", min=4)] = 16,
    seed: Annotated[int, typer.Option(help="Seed of everything that is drawn.", min=0)] = 0,
    processes: Annotated[
        int, typer.Option(help="Processes that forge and prepare videos.", min=1)
    ] = 2,
) -> None:
    """Train the demonstration model on forgeries of the people in FACES, measure and export it.

    Who trains, validates and tests follows from the names of the files. What lies in the work
    folder already is used again; an interrupted command goes on where it stood.

    Example: **deepfake-models train-demo videos/ --stills photos/**
    """

    console = Console(highlight=False)
    with refusals():
        from model_export.demo.material import Amount
        from model_export.demo.recipe import Options, make_demo_model
        from model_export.demo.runs import Effort

        options = Options(
            Amount(strength=strength, segments=segments, seed=seed),
            Effort(frames=frames, clips=clips, filters=filters),
        )
        contract = make_demo_model(
            faces, stills, work, output, options, processes=processes, console=console
        )
    for metric in contract.metrics:
        between = "" if metric.low is None else f" ({metric.low:.3f} to {metric.high:.3f})"
        console.print(f"{metric.name}: {metric.value:.3f}{between}", markup=False)
    console.print(f"{output}: {output.stat().st_size / 1e6:.1f} MB", markup=False)
