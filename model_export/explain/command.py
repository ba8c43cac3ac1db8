"""``deepfake-models explain``: pictures of what a model looks at and of what it is given."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from model_export.data.video import Part
from model_export.refusals import refusals

if TYPE_CHECKING:
    from model_export.explain.choice import Selection

explain_app = typer.Typer(
    help="Draw what a model looks at, and what it is given to look at.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)

_progress = Console(stderr=True)


def _png(path: Path) -> Path:
    if path.suffix.lower() != ".png":
        raise typer.BadParameter("pictures are written as .png")
    return path


Prepared = Annotated[
    Path,
    typer.Argument(help="Prepared dataset.", metavar="PREPARED", exists=True, file_okay=False),
]
Output = Annotated[
    Path,
    typer.Option("--output", "-o", help="PNG file to write.", metavar="FILE.png", callback=_png),
]
Model = Annotated[
    Path, typer.Option("--model", "-m", help="Folder of a training run, or ONNX model.")
]
Methods = Annotated[
    list[str] | None,
    typer.Option(
        help="Show these methods, 'DF,NT' or given repeatedly; real is one. Default: all.",
        show_default=False,
    ),
]
Videos = Annotated[
    list[str] | None,
    typer.Option(
        help="Show these videos, by id, whatever their method and part.", show_default=False
    ),
]
InPart = Annotated[
    Part | None, typer.Option("--part", help="Show this part only.", show_default=False)
]
Count = Annotated[int, typer.Option(help="Clips of each method (or named video).", min=1, max=200)]
Seed = Annotated[int, typer.Option(help="Seed of the draw.", min=0)]


@explain_app.command()
def cams(
    prepared: Prepared,
    model: Model,
    output: Output,
    mean: Annotated[
        bool,
        typer.Option("--mean", help="One row a method: the mean over its clips (take 50 or more)."),
    ] = False,
    methods: Methods = None,
    videos: Videos = None,
    part: InPart = None,
    count: Count = 2,
    seed: Seed = 0,
) -> None:
    """Draw class activation maps over clips, frame by frame: where the model sees the forgery.

    Example: **deepfake-models explain cams prepared/ --model runs/df --part test --mean --count 50
    -o maps.png**
    """

    with refusals():
        from model_export.data.prepared import PreparedDataset
        from model_export.explain.cams import clip_cams, domain_cams
        from model_export.explain.choice import drawn_clips
        from model_export.explain.model import open_model
        from model_export.explain.picture import save

        dataset, opened = PreparedDataset(prepared), open_model(model)
        opened.demand_cam()
        opened.demand_fit(dataset.preparation)
        clips = drawn_clips(dataset, _selection(part, methods, videos, count, seed))
        picture = (domain_cams if mean else clip_cams)(clips, opened, _progress)
        save(picture, output, dataset.preparation.origin)


@explain_app.command()
def differences(
    prepared: Prepared,
    output: Output,
    factor: Annotated[
        float, typer.Option(help="By how much differences are amplified.", min=1, max=255)
    ] = 8,
    methods: Methods = None,
    videos: Videos = None,
    part: InPart = None,
    count: Count = 1,
    seed: Seed = 0,
) -> None:
    """Draw what changes between consecutive frames, of forged clips and of their real twins.

    Example: **deepfake-models explain differences prepared/ --methods DF -o differences.png**
    """

    with refusals():
        from model_export.data.prepared import PreparedDataset
        from model_export.explain.choice import drawn_clips
        from model_export.explain.differences import differences as drawn
        from model_export.explain.picture import save

        dataset = PreparedDataset(prepared)
        clips = drawn_clips(dataset, _selection(part, methods, videos, count, seed))
        save(drawn(clips, factor), output, dataset.preparation.origin)


@explain_app.command()
def clips(
    prepared: Prepared,
    output: Output,
    scores: Annotated[
        Path | None,
        typer.Option(
            help="Table of scores (CSV): show the clips it has farthest from the truth.",
            show_default=False,
        ),
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(
            "--model",
            "-m",
            help="Run's folder or ONNX model that scores the clips drawn.",
            show_default=False,
        ),
    ] = None,
    methods: Methods = None,
    videos: Videos = None,
    part: InPart = None,
    count: Count = 4,
    seed: Seed = 0,
) -> None:
    """Draw clips below each other; with scores, the worst mistakes first.

    Example: **deepfake-models explain clips prepared/ --scores scores.csv --part test -o
    mistakes.png**
    """

    if scores is not None and model is not None:
        raise typer.BadParameter("the scores come from a table or from a model, not from both")
    with refusals():
        from model_export.data.prepared import PreparedDataset
        from model_export.evaluation.score_file import load_scores
        from model_export.explain.choice import drawn_clips, worst_clips
        from model_export.explain.model import open_model
        from model_export.explain.picture import save
        from model_export.explain.sheets import contact_sheet, scored

        dataset = PreparedDataset(prepared)
        selection = _selection(part, methods, videos, count, seed)
        if scores is not None:
            table = load_scores(scores)
            chosen, by = worst_clips(dataset, selection, table), scores.name
        elif model is not None:
            opened = open_model(model)
            opened.demand_fit(dataset.preparation)
            chosen, by = scored(drawn_clips(dataset, selection), opened, _progress), opened.name
        else:
            chosen, by = drawn_clips(dataset, selection), None
        title = f"Clips of {prepared.resolve().name}"
        title += f", by {by}, the worst mistakes first" if by else ""
        save(contact_sheet(chosen, title), output, dataset.preparation.origin)


def _selection(
    part: Part | None,
    methods: list[str] | None,
    videos: list[str] | None,
    count: int,
    seed: int,
) -> Selection:
    from model_export.explain.choice import Selection

    return Selection(
        part=part,
        methods=_names(methods),
        videos=_names(videos),
        count=count,
        seed=seed,
    )


def _names(given: list[str] | None) -> tuple[str, ...] | None:
    names = (name.strip() for each in given or () for name in each.split(","))
    return tuple(filter(None, names)) or None
