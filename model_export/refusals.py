"""How a command says no."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console

from model_export.errors import ModelExportError

_errors = Console(stderr=True, highlight=False)


@contextmanager
def refusals() -> Iterator[None]:
    """Turn the errors that are meant for people into one line and exit status 1."""
    try:
        yield
    except ModelExportError as error:
        _errors.print(f"Error: {error}", style="red", markup=False, soft_wrap=True)
        raise typer.Exit(1) from None
