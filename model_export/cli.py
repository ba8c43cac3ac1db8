"""The command line: ``deepfake-models`` or ``python -m model_export``.

Commands import what they need when they run: PyTorch alone takes seconds to load, and ``--help``
should not.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from model_export.data.command_check import check
from model_export.data.command_prepare import prepare
from model_export.demo.command import train_demo
from model_export.evaluation.command import evaluate
from model_export.experiments.command import reproduce
from model_export.explain.command import explain_app
from model_export.quantisation.command import cost, quantise
from model_export.refusals import refusals
from model_export.synthetic.command import synthesise
from model_export.training.command import export, train

ABOUT = (
    "Make the models that deepfake-service runs: train and compare them, import published weights, "
    "look into models."
)

app = typer.Typer(
    help=ABOUT,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_show_locals=False,
)

_out = Console(highlight=False)
_errors = Console(stderr=True, highlight=False)


class ArchitectureName(StrEnum):
    """What ``import-keras`` can rebuild."""

    CLRNET = "clrnet"
    MESOINCEPTION4 = "mesoinception4"
    MESO4 = "meso4"
    SHALLOWNETV3 = "shallownetv3"
    XCEPTION = "xception"


class AlignmentName(StrEnum):
    """How the crops of a clip are cut."""

    PER_FRAME = "per_frame"
    CLIP = "clip"


@app.callback(help=ABOUT)
def main() -> None:
    """Have subcommands even where there is one."""


@app.command("import-keras")
def import_keras(
    file: Annotated[
        Path, typer.Argument(help="Keras HDF5 file: a whole model or its weights.", metavar="FILE")
    ],
    architecture: Annotated[
        ArchitectureName, typer.Option("--architecture", "-a", help="The network in the file.")
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="ONNX file to write.", metavar="MODEL.onnx")
    ],
    input_size: Annotated[
        int | None,
        typer.Option(
            help="Height and width of the frames, where the file does not say them: published "
            "CLRNet weights have 240 (merges: 128), Xception 240.",
            min=16,
            max=1024,
            show_default=False,
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="The model's name. Default: that of the ONNX file.")
    ] = None,
    trained_on: Annotated[
        str,
        typer.Option(help="Data the weights were trained on, e.g. 'FaceForensics++ Deepfakes'."),
    ] = "unknown",
    licence: Annotated[str, typer.Option(help="Licence of the weights.")] = "unknown",
    threshold: Annotated[
        float | None,
        typer.Option(
            help="Score from which a face is called fake. Default: 0.5, marked uncalibrated.",
            min=0.0,
            max=1.0,
            show_default=False,
        ),
    ] = None,
    alignment: Annotated[
        AlignmentName,
        typer.Option(
            help="**per_frame**: each frame around its own face box, as the published "
            "weights expect; **clip**: one common square for a clip."
        ),
    ] = AlignmentName.PER_FRAME,
    margin: Annotated[
        float,
        typer.Option(help="Side of the square crop over the face box's longer side.", min=1, max=3),
    ] = 1.3,
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
    """Turn published Keras weights into an ONNX model with the same outputs.

    Width, depth and input size are read from the file where it says them. The result is compared
    with PyTorch in ONNX Runtime before it gets its name; what nobody knows about the weights is
    written *unknown*, and reports show it.

    Example: **deepfake-models import-keras MesoInception_DF.h5 -a mesoinception4 -o
    meso.onnx --trained-on 'FF++ Deepfakes' --licence Apache-2.0**
    """
    with refusals(), _errors.status("Loading PyTorch") as status:
        from model_export import keras_import, onnx_export
        from model_export.import_contract import Provenance, import_contract

        status.update(f"Reading {file.name}")
        imported = keras_import.import_keras(file, architecture.value, input_size)
        told = Provenance(
            name=name or output.stem,
            trained_on=trained_on,
            licence=licence,
            threshold=threshold,
            alignment=alignment.value,
            margin=margin,
        )
        contract = import_contract(imported, told)
        status.update("Writing the ONNX model and comparing it with PyTorch")
        report = onnx_export.export(
            imported.model, output, contract, half_weights=half, plain=plain
        )
    height, width = imported.size
    _out.print(
        f"{file.name}: {architecture.value}, {imported.layout}, clips of {imported.clip_length} "
        f"frame(s) of {height}x{width}",
        markup=False,
        soft_wrap=True,
    )
    _out.print(
        f"{output}: {report.bytes_written / 1e6:.1f} MB; differs from PyTorch by at most "
        f"{report.probability_difference:.1e} in P(fake)",
        markup=False,
        soft_wrap=True,
    )


@app.command()
def inspect(
    model: Annotated[Path, typer.Argument(help="ONNX model.", metavar="MODEL.onnx")],
) -> None:
    """Print what an ONNX model says about itself, and whether the service would take it."""
    with refusals():
        from model_export.inspection import inspect_model

        inspection = inspect_model(model)
    table = Table("key", Column("value", overflow="fold"))
    for key, value in inspection.rows:
        # The file's own text is shown as it is, never read as markup.
        table.add_row(Text(key), Text(value))
    _out.print(table)
    if inspection.refusal is not None:
        _errors.print(f"Refused: {inspection.refusal}", style="red", markup=False, soft_wrap=True)
        raise typer.Exit(1)


@app.command()
def half(
    source: Annotated[
        Path,
        typer.Argument(help="Plain model.", metavar="MODEL.onnx", exists=True, dir_okay=False),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="ONNX file to write.", metavar="HALF.onnx")
    ],
) -> None:
    """Make a model that computes in float16, which GPUs do fastest.

    Pixels are scaled, and means and scores summed, in float32 as before. The result is held
    against its source on random clips; one that differs too much is not written. The source must
    have been written with **--plain**.

    Example: **deepfake-models half mine.onnx -o mine-half.onnx**
    """
    with refusals():
        from model_export.half import half as make

        made = make(source, output)
    _out.print(
        f"{output}: {made.bytes_after / 1e6:.1f} MB, before {made.bytes_before / 1e6:.1f} MB; "
        f"log-odds differ by at most {made.log_odds_difference:.3f} on random clips",
        markup=False,
        soft_wrap=True,
    )


data = typer.Typer(
    help="Look into datasets, prepare them for training, make a synthetic one.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)
data.command()(check)
data.command()(prepare)
data.command()(synthesise)

app.add_typer(data, name="data")
app.command()(train)
app.command()(export)
app.command()(evaluate)
app.command()(quantise)
app.command()(cost)
app.add_typer(explain_app, name="explain")
app.command()(reproduce)
app.command("train-demo")(train_demo)
