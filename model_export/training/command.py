"""``deepfake-models train`` and ``export``: from a run's file to weights, from them to a model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from model_export.refusals import refusals

if TYPE_CHECKING:
    from model_export.training.config import RunConfig

_out = Console(highlight=False)


def train(
    run: Annotated[
        Path, typer.Argument(help="What to train, on what and how long.", metavar="RUN.toml")
    ],
    folder: Annotated[
        Path | None,
        typer.Option(
            help="Folder for weights, log and curves. Default: runs/ and the file's name.",
            show_default=False,
        ),
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="Change a setting of the file; may be given repeatedly.",
            metavar="KEY=VALUE",
            show_default=False,
        ),
    ] = None,
    devices: Annotated[
        int, typer.Option(help="Processes that share each step, one a GPU.", min=1)
    ] = 1,
) -> None:
    """Train a network as RUN.toml says, on a prepared dataset.

    The folder gets the weights of the best epoch, log.csv, curves.png and a log for TensorBoard.
    A run that was stopped goes on where it stood when it is started again. Under torchrun, the
    processes that it starts share the run.

    Example: **deepfake-models train run.toml --set optimiser.rate=1e-3**
    """

    with refusals():
        from model_export.training.config import load_config
        from model_export.training.distributed import spawn
        from model_export.training.memory import keep_freed_memory

        keep_freed_memory()
        config = load_config(run, changes or ())
        place = folder or Path("runs") / run.stem
        if devices > 1:
            spawn(devices, _train, config, place)
        else:
            _train(config, place)


def _train(config: RunConfig, folder: Path) -> None:
    from model_export.training import trainer

    trainer.train(config, folder, console=_out)


def export(
    run: Annotated[
        Path,
        typer.Argument(
            help="Folder of a finished run.", metavar="RUN", exists=True, file_okay=False
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="ONNX file to write.", metavar="MODEL.onnx")
    ],
    operating_point: Annotated[
        Path | None,
        typer.Option(
            help="JSON file with the calibration and the thresholds. Default: 0.5, marked "
            "uncalibrated.",
            show_default=False,
        ),
    ] = None,
    metrics: Annotated[
        Path | None,
        typer.Option(
            help="JSON file with measured figures. Default: those of the validation part.",
            show_default=False,
        ),
    ] = None,
    version: Annotated[str, typer.Option(help="The model's version.")] = "1",
    licence: Annotated[str, typer.Option(help="Licence of the weights.")] = "unknown",
    notice: Annotated[
        str, typer.Option(help="What a reader of its reports must be told.")
    ] = "unknown",
    half: Annotated[
        bool,
        typer.Option("--half", help="Store the weights in half precision: half the file size."),
    ] = False,
    plain: Annotated[
        bool,
        typer.Option(
            "--plain",
            help="Write convolutions alone, as GPUs and quantisers know them best, and not what a "
            "processor computes fastest. The scores are the same.",
        ),
    ] = False,
) -> None:
    """Write a trained run as an ONNX model that the service can run.

    What it was trained on, and how its crops are cut, stands in the model and in its reports.

    Example: **deepfake-models export runs/first -o first.onnx --operating-point point.json**
    """

    with refusals(), Console(stderr=True).status("Loading PyTorch") as status:
        from model_export.evaluation.calibration import load_point
        from model_export.training.export import Told, export_run, read_metrics
        from service.classifier.contract import OperatingPoint

        told = Told(
            version=version,
            licence=licence,
            notice=notice,
            operating_point=load_point(operating_point) if operating_point else OperatingPoint(),
            metrics=read_metrics(metrics) if metrics else None,
        )
        status.update("Writing the ONNX model and comparing it with PyTorch")
        report = export_run(run, output, told, half=half, plain=plain)
    _out.print(
        f"{output}: {report.bytes_written / 1e6:.1f} MB; differs from PyTorch by at most "
        f"{report.probability_difference:.1e} in P(fake)",
        markup=False,
        soft_wrap=True,
    )
