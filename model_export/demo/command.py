"""``deepfake-models train-demo``: the model in the box from videos to ONNX and card."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console


def train_demo(
    faces: Annotated[
        Path,
        typer.Argument(help="Folder of MP4 files, one person each.", exists=True, file_okay=False),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="ONNX file; its card is written beside it.")
    ] = Path("service/models/clrnet-demo.onnx"),
    stills: Annotated[
        Path | None,
        typer.Option(help="Folder of photographs (JPEG), for training only.", exists=True),
    ] = None,
    work: Annotated[
        Path, typer.Option(help="Folder for pools, logs and checkpoints; is taken up again.")
    ] = Path("runs/demo"),
    runs: Annotated[
        int, typer.Option(help="Runs of ten frames to forge for training.", min=50)
    ] = 1200,
    frame_minutes: Annotated[float, typer.Option(help="Time for single frames.", min=0.1)] = 25.0,
    clip_minutes: Annotated[float, typer.Option(help="Time for five-frame clips.", min=0.1)] = 24.0,
    filters: Annotated[int, typer.Option(help="Width of the first stage.", min=4)] = 16,
    seed: Annotated[int, typer.Option(help="Seed of everything that is drawn.")] = 0,
    workers: Annotated[int, typer.Option(help="Processes that forge.", min=1)] = 2,
) -> None:
    """Train the demonstration model on forgeries of the people in FACES, measure and export it.

    Who trains, validates and tests is fixed by the names of the files. Progress lies in the work
    folder: pools and finished stages that are there already are used again.

    Example: **deepfake-models train-demo videos/ --stills photos/**
    """
    from model_export.cli import refusals
    from model_export.demo.recipe import Budget, make_demo_model

    budget = Budget(runs, frame_minutes * 60, clip_minutes * 60, filters, seed, workers)
    with refusals():
        contract = make_demo_model(faces, stills, work, output, budget)
    console = Console(highlight=False)
    for metric in contract.metrics:
        between = "" if metric.low is None else f" ({metric.low:.3f} to {metric.high:.3f})"
        console.print(f"{metric.name}: {metric.value:.3f}{between}", markup=False)
    console.print(f"{output}: {output.stat().st_size / 1e6:.1f} MB", markup=False)
