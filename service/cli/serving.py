"""``serve``: the REST API."""

from __future__ import annotations

from typing import Annotated

import typer

from service.cli.console import errors
from service.cli.settings import ModelOption, read_settings
from service.errors import ModelError

_LOOPBACK = ("127.0.0.1", "::1", "localhost")


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=0, max=65535)] = 8000,
    model: ModelOption = None,
) -> None:
    """Serve the REST API. Settings come from [bold]DEEPFAKE_*[/bold] environment variables."""
    from service.server import run

    settings = read_settings(model)
    if settings.fetch.loopback and host not in _LOOPBACK:
        errors.print(
            "[red]Bad setting[/red] DEEPFAKE_FETCH__LOOPBACK: for tests, where --host is 127.0.0.1"
        )
        raise typer.Exit(2)
    try:
        run(settings, host, port)
    except ModelError as error:
        errors.print(f"[red]Not started[/red]: {error}")
        raise typer.Exit(2) from None
