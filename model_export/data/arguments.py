"""The command-line options by which a dataset is read, for every command that reads one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from model_export.data.reading import Compression, LayoutName, Overlap, SplitName

PANEL = "How the dataset is read"

DatasetArgument = Annotated[
    Path, typer.Argument(help="Folder of the videos, or a CSV manifest.", metavar="DATASET")
]
LayoutOption = Annotated[
    LayoutName | None,
    typer.Option(
        help="How it lies on disk. Default: recognised by its folders.",
        show_default=False,
        rich_help_panel=PANEL,
    ),
]
MethodOption = Annotated[
    list[str] | None,
    typer.Option(
        help="A forgery to read, with the real videos that belong to it; repeat it for more. "
        "Default: all.",
        show_default=False,
        rich_help_panel=PANEL,
    ),
]
CompressionOption = Annotated[
    Compression, typer.Option(help="Of FaceForensics++.", rich_help_panel=PANEL)
]
SplitOption = Annotated[
    SplitName | None,
    typer.Option(
        help="**official**: FaceForensics++, Celeb-DF; **papers**: FaceForensics++, the first 750, "
        "the next 125 and the last 125; **people**: Celeb-DF; **groups**: DFDC by original, a "
        "folder by name; **folders**: DFDC; **listed**: a manifest. Default: the first of these "
        "that the layout has.",
        show_default=False,
        rich_help_panel=PANEL,
    ),
]
SplitsOption = Annotated[
    Path | None,
    typer.Option(
        help="Folder of FaceForensics++'s train.json, val.json and test.json. Default: splits/ in "
        "the dataset.",
        metavar="FOLDER",
        show_default=False,
        rich_help_panel=PANEL,
    ),
]
RatiosOption = Annotated[
    tuple[float, float, float],
    typer.Option(
        help="Shares of train, validation and test where they are drawn.", rich_help_panel=PANEL
    ),
]
SeedOption = Annotated[int, typer.Option(help="Of what is drawn.", rich_help_panel=PANEL)]
OverlapOption = Annotated[
    Overlap,
    typer.Option(
        help="What to do with videos that share a person or source with another part.",
        rich_help_panel=PANEL,
    ),
]
SeparatorOption = Annotated[
    str | None,
    typer.Option(
        help="In a plain folder, what ends the part of a file's name that names its group. "
        "Default: the whole name is the group.",
        metavar="TEXT",
        show_default=False,
        rich_help_panel=PANEL,
    ),
]
