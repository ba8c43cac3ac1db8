"""``deepfake-models quantise`` and ``cost``: fast mode, and what it costs."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from model_export.data.video import Part
from model_export.refusals import refusals

if TYPE_CHECKING:
    from model_export.quantisation.recipe import Quantised
    from model_export.quantisation.sensitivity import Sensitivity
    from service.measures.rendering import Table

_out = Console(highlight=False)
_progress = Console(stderr=True)

_SHOWN = 12
"""Layers in the table at least, those with the largest errors."""


class RuntimeName(StrEnum):
    """What runs a model."""

    ONNXRUNTIME = "onnxruntime"
    OPENVINO = "openvino"


class ArithmeticName(StrEnum):
    """What a model's float32 layers are computed in."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"


_PREPARED = typer.Argument(
    help="Prepared dataset, clips as the model takes them.",
    metavar="PREPARED",
    exists=True,
    file_okay=False,
)


def quantise(
    source: Annotated[
        Path,
        typer.Argument(help="Float32 model.", metavar="MODEL.onnx", exists=True, dir_okay=False),
    ],
    prepared: Annotated[Path, _PREPARED],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="ONNX file to write.", metavar="FAST.onnx")
    ],
    clips: Annotated[
        int, typer.Option(help="Clips to find ranges on, and as many to choose layers on.", min=2)
    ] = 64,
    error: Annotated[
        float,
        typer.Option(
            help="Root mean square difference of log-odds that int8 may add; layers that add more "
            "stay in float32."
        ),
    ] = 0.1,
    draws: Annotated[int, typer.Option(help="Draws of people for intervals.", min=20)] = 1000,
) -> None:
    """Make a model that computes in int8, and say what it costs.

    Ranges of activations are found on clips of the training part, layers that must stay in float32
    on clips of the validation part. The result is held against its source on others, and the change
    of AUC and of verdicts is measured on the whole test part and written into the model.

    Example: **deepfake-models quantise mine.onnx prepared/ -o mine-int8.onnx**
    """

    with refusals():
        from rich.progress import Progress

        from model_export.data.prepared import PreparedDataset
        from model_export.evaluation.command import print_table
        from model_export.quantisation.cost import cost_table
        from model_export.quantisation.recipe import quantise as make

        with Progress(console=_progress, transient=True) as progress:
            made = make(
                source,
                output,
                PreparedDataset(prepared),
                clips=clips,
                error=error,
                draws=draws,
                progress=progress,
            )
    print_table(_layers(made))
    print_table(cost_table(made.costs, "What int8 costs"))
    _out.print(
        f"{output}: {made.bytes_after / 1e6:.1f} MB, before {made.bytes_before / 1e6:.1f} MB; "
        f"log-odds differ by {made.error:.3f} on clips that nothing was chosen on",
        markup=False,
        soft_wrap=True,
    )


def cost(
    source: Annotated[
        Path,
        typer.Argument(help="Float32 model.", metavar="MODEL.onnx", exists=True, dir_okay=False),
    ],
    fast: Annotated[
        Path,
        typer.Argument(
            help="Its fast version, or the same file for another runtime.",
            metavar="FAST.onnx",
            exists=True,
            dir_okay=False,
        ),
    ],
    prepared: Annotated[Path, _PREPARED],
    part: Annotated[Part, typer.Option(help="The part to measure on.")] = "test",
    runtime: Annotated[
        RuntimeName, typer.Option(help="What runs the fast version.")
    ] = RuntimeName.ONNXRUNTIME,
    arithmetic: Annotated[
        ArithmeticName, typer.Option(help="What the fast version's float32 layers compute in.")
    ] = ArithmeticName.FLOAT32,
    draws: Annotated[int, typer.Option(help="Draws of people for intervals.", min=20)] = 1000,
) -> None:
    """Say what a fast model or runtime changes: AUC and verdicts of clips, faces and videos.

    The float32 model runs in ONNX Runtime. Verdicts fall at its operating point.

    Example: **deepfake-models cost mine.onnx mine.onnx prepared/ --runtime openvino --arithmetic
    bfloat16**
    """

    with refusals():
        from rich.progress import Progress

        from model_export.data.prepared import PreparedDataset
        from model_export.evaluation.command import print_table
        from model_export.quantisation.cost import cost_table
        from model_export.quantisation.recipe import compare, opened

        with Progress(console=_progress, transient=True) as progress:
            found = compare(
                opened(source),
                opened(fast, runtime.value, arithmetic.value),
                PreparedDataset(prepared),
                part,
                draws=draws,
                progress=progress,
            )
    print_table(cost_table(found, f"{fast.name} in {runtime.value}, {arithmetic.value}"))


def _layers(made: Quantised) -> Table:
    from service.measures.rendering import Table

    kept = {each.layer.weight for each in made.kept}

    def row(each: Sensitivity) -> tuple[str, ...]:
        return (
            *(each.layer.weight, str(len(each.layer.nodes)), f"{each.share:.1%}"),
            *(f"{each.error:.4f}", f"{each.worst:.3f}"),
            "float32" if each.layer.weight in kept else "int8",
        )

    ordered = sorted(made.measured, key=lambda each: each.error, reverse=True)
    shown = [
        each for place, each in enumerate(ordered) if place < _SHOWN or each.layer.weight in kept
    ]
    share = sum(each.share for each in made.kept)
    return Table(
        "Layers, each alone in int8",
        ("weight", "times", "of all sums", "log-odds apart", "largest", "computed in"),
        tuple(map(row, shown)),
        (
            f"{len(made.kept)} of {len(made.measured)} layers stay in float32, {share:.1%} of all "
            "multiplications.",
            *_left_out(len(ordered) - len(shown)),
        ),
    )


def _left_out(count: int) -> Sequence[str]:
    return (f"{count} with smaller errors are not shown.",) if count else ()
