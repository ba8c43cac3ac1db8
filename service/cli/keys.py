"""``key``: who may call the API."""

from __future__ import annotations

from typing import Annotated

import typer
from pydantic import ValidationError

from service.cli.console import errors
from service.settings import AuthSettings


def key(name: Annotated[str, typer.Argument(help="Whose key it is; logs show this name.")]) -> None:
    """Make an API key. It is shown this once: the service needs to know its hash alone."""
    from service.auth import entry, new_key

    made = new_key()
    setting = entry(name, made)
    try:
        AuthSettings(keys=[setting])
    except ValidationError:
        errors.print("[red]Bad name[/red]: up to 64 of a-z, 0-9, '.', '_' and '-'")
        raise typer.Exit(2) from None
    typer.echo(made)
    errors.print("Add to DEEPFAKE_AUTH__KEYS, a JSON list:", style="dim")
    typer.echo(f'"{setting}"')
