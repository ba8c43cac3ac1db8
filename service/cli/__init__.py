"""The command line: ``deepfake-service`` or ``python -m service``."""

from __future__ import annotations

import io
import sys
from typing import Annotated

import typer

from service import __version__
from service.cli.detectors import fetch_detector
from service.cli.evaluating import evaluate_list
from service.cli.keys import key
from service.cli.receipts import receipt_key, verify
from service.cli.scoring import demo, score
from service.cli.serving import serve

__all__ = ["app"]

app = typer.Typer(
    help="Find likely deepfakes: which faces, at which seconds, how sure.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_show_locals=False,
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print and exit.")
    ] = False,
) -> None:
    """Find likely deepfakes: which faces, at which seconds, how sure."""
    # Hours of work must not end in a character that the terminal does not know.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


app.command()(serve)
app.command()(score)
app.command()(demo)
app.command("evaluate")(evaluate_list)
app.command("fetch-detector")(fetch_detector)
app.command("receipt-key")(receipt_key)
app.command()(verify)
app.command()(key)
