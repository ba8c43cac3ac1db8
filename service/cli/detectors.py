"""``fetch-detector``: a face detector that does not come in the box."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from service.cli.console import errors
from service.errors import ModelError
from service.progress import download_bar


class PackName(StrEnum):
    """The InsightFace packs whose hashes are known."""

    BUFFALO_SC = "buffalo_sc"
    BUFFALO_L = "buffalo_l"


def fetch_detector(
    pack: Annotated[PackName, typer.Argument(help="buffalo_sc is small, buffalo_l thorough.")],
    folder: Annotated[Path, typer.Option("--to", help="Folder for the model.", file_okay=False)],
    accept: Annotated[
        bool, typer.Option("--accept-licence", help="Do not ask about the licence.")
    ] = False,
) -> None:
    """Download an InsightFace face detector: [bold]for non-commercial research only[/bold].

    The only command that goes to the network. Set DEEPFAKE_FACES__PATH to the printed path.
    """
    from service.faces.fetch import LICENCE, PACKS, fetch_pack

    errors.print(LICENCE)
    if not accept:
        typer.confirm("Is that how you will use it?", abort=True, err=True)
    try:
        with download_bar(errors) as show:
            path = fetch_pack(PACKS[pack.value], folder, progress=show)
    except ModelError as error:
        errors.print(f"[red]Not fetched[/red]: {error}")
        raise typer.Exit(1) from error
    typer.echo(path)
