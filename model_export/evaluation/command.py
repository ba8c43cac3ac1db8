"""``deepfake-models evaluate``: how well models do on a prepared dataset."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Column
from rich.table import Table as RichTable
from rich.text import Text

from model_export.data.video import Part
from model_export.refusals import refusals

if TYPE_CHECKING:
    from model_export.evaluation.adversary import Attack
    from model_export.evaluation.report import Evaluation, Wanted
    from service.measures.rendering import Table

_out = Console(highlight=False)
_progress = Console(stderr=True)


class LevelName(StrEnum):
    """What is counted."""

    CLIP = "clip"
    FACE = "face"
    VIDEO = "video"


class CalibrationName(StrEnum):
    """How scores are calibrated."""

    PLATT = "platt"
    TEMPERATURE = "temperature"


class DeviceName(StrEnum):
    """Where networks run."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


def evaluate(
    models: Annotated[
        list[Path],
        typer.Argument(
            help="Folders of training runs, or ONNX models; several are compared.",
            metavar="MODEL...",
            exists=True,
        ),
    ],
    prepared: Annotated[
        Path,
        typer.Argument(help="Prepared dataset.", metavar="PREPARED", exists=True, file_okay=False),
    ],
    part: Annotated[Part, typer.Option(help="The part to measure on.")] = "test",
    level: Annotated[
        LevelName, typer.Option(help="What is printed and drawn; files hold all three.")
    ] = LevelName.CLIP,
    methods: Annotated[
        str | None,
        typer.Option(help="These methods only, 'DF,NT,real'. Default: all.", show_default=False),
    ] = None,
    trained_on: Annotated[
        str | None,
        typer.Option(
            help="What a model was trained on, 'DF,FS': tells attackers apart. ONNX models do not "
            "say it, runs do unless what they started from is gone.",
            show_default=False,
        ),
    ] = None,
    calibrate: Annotated[
        CalibrationName | None,
        typer.Option(
            help="Find the operating point on the validation part; it is written to "
            "operating_point.json.",
            show_default=False,
        ),
    ] = None,
    orders: Annotated[
        bool, typer.Option("--orders", help="Measure with frames reversed, shuffled, repeated.")
    ] = False,
    robustness: Annotated[
        bool, typer.Option("--robustness", help="Measure under compression, blur, noise, resize.")
    ] = False,
    attack: Annotated[
        str | None,
        typer.Option(
            help="White-box attacks, 'fgsm,pgd', on runs and exported CLRNets.", show_default=False
        ),
    ] = None,
    epsilons: Annotated[
        str, typer.Option(help="Largest changes of a pixel, in steps of 255.")
    ] = "1,2,4,8",
    attack_real: Annotated[
        bool, typer.Option("--attack-real", help="Attack real clips as well, to look forged.")
    ] = False,
    draws: Annotated[int, typer.Option(help="Draws of people for intervals.", min=20)] = 1000,
    device: Annotated[DeviceName, typer.Option(help="Where networks run.")] = DeviceName.AUTO,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Folder for scores, figures and pictures; of several models one folder each.",
            file_okay=False,
            show_default=False,
        ),
    ] = None,
) -> None:
    """Measure models on the clips of a prepared dataset.

    Prints recall, precision, F1, AUC and more for all forged videos, by attacker (methods trained
    on, other known ones, unknown ones) and by method, each against all real ones; intervals are
    over people. Of several models mean and spread over those of one kind (seeds) are printed too.

    Example: **deepfake-models evaluate runs/clrnet-0 runs/clrnet-1 prepared/ --orders -o figures/**
    """

    with refusals():
        from rich.progress import Progress

        from model_export.data.prepared import PreparedDataset
        from model_export.evaluation.report import Wanted, write
        from model_export.evaluation.report import evaluate as measure_model
        from model_export.evaluation.subject import open_subject

        wanted = Wanted(
            part=part,
            methods=tuple(_names(methods)) or None,
            level=level.value,
            draws=draws,
            calibrate=calibrate.value if calibrate else None,
            orders=orders,
            robustness=robustness,
            attacks=tuple(_attacks(attack, epsilons)),
            attack_real=attack_real,
        )
        dataset = PreparedDataset(prepared)
        folders = _folders(models, output)
        done = []
        for model in models:
            subject = open_subject(model, dataset, device.value, _names(trained_on))
            with Progress(console=_progress, transient=True) as progress:
                evaluation = measure_model(subject, dataset, wanted, progress)
            for table in evaluation.tables.values():
                print_table(table)
            if model in folders:
                write(evaluation, folders[model])
            done.append(evaluation)
        if len(done) > 1:
            _compare(done, wanted, output)
    if output is not None:
        _out.print(f"{output}: written", markup=False, soft_wrap=True)


def _compare(done: Sequence[Evaluation], wanted: Wanted, output: Path | None) -> None:
    from model_export.evaluation.findings import over_models
    from model_export.evaluation.rendering import marked, write_table
    from service.measures.levels import LEVELS

    models = [(evaluation.subject.kind, evaluation.findings) for evaluation in done]
    for level in LEVELS:
        table = over_models(models, level, f"{len(done)} models, by {level}")
        table = marked(table, done[0].origin)  # All were measured on the same clips.
        warned = [f"{each.subject.name}: {note}" for each in done for note in each.warning_notes()]
        table = replace(table, notes=(*warned, *table.notes))
        if level == wanted.level:
            print_table(table)
        if output is not None:
            write_table(table, output, f"spread-{level}")


def _folders(models: Sequence[Path], output: Path | None) -> dict[Path, Path]:
    """Where each model's files go: the folder itself for one, else one of its own."""
    if output is None:
        return {}
    if len(models) == 1:
        return {models[0]: output}
    return {
        model: output / f"{number}-{model.resolve().stem}"
        for number, model in enumerate(models, start=1)
    }


def _names(text: str | None) -> list[str]:
    return [name.strip() for name in (text or "").split(",") if name.strip()]


def _attacks(kinds: str | None, epsilons: str) -> Iterator[Attack]:
    from model_export.evaluation.adversary import KINDS, Attack

    for name in _names(kinds):
        if name not in KINDS:
            raise typer.BadParameter(f"there is no attack '{name}', only {', '.join(KINDS)}")
        for epsilon in _names(epsilons):
            if not epsilon.isdecimal() or not 1 <= int(epsilon) <= 255:
                raise typer.BadParameter(f"epsilon is a whole number from 1 to 255, not {epsilon}")
            yield Attack(next(kind for kind in KINDS if kind == name), int(epsilon))


def print_table(table: Table) -> None:
    # Names of methods and runs are shown as they are, never read as markup.
    shown = RichTable(
        *(Column(Text(column)) for column in table.columns),
        title=Text(table.title),
        title_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
        padding=0,
    )
    for row in table.rows:
        shown.add_row(*(Text(cell) for cell in row))
    _out.print(shown)
    for note in table.notes:
        _out.print(note, markup=False, style="dim")
