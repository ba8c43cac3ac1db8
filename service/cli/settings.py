"""The service's settings, read for a command; what is wrong with them is said by name."""

from __future__ import annotations

import os
from json import loads
from pathlib import Path
from typing import Annotated, get_origin

import typer
from pydantic import BaseModel, ValidationError
from pydantic_settings import SettingsError

from service.cli.console import errors
from service.settings import Settings

ModelOption = Annotated[
    Path | None,
    typer.Option(
        "--model",
        "-m",
        help="ONNX model that keeps the contract, such as one written by "
        "[bold]deepfake-models import-keras[/bold]. Default: the demonstration model in the box.",
        metavar="M.onnx",
    ),
]


def read_settings(model: Path | None = None) -> Settings:
    """The settings in the environment, with ``model`` in place of theirs where one is given.

    Raises:
        typer.Exit: with status 2, after the name of each bad variable was printed.
    """
    try:
        settings = Settings()
    except ValidationError as error:
        for wrong in error.errors():
            name = "__".join(str(part) for part in wrong["loc"]).upper()
            errors.print(f"[red]Bad setting[/red] DEEPFAKE_{name}: {wrong['msg']}")
        raise typer.Exit(2) from None
    except SettingsError:
        # Its text names a group of settings at best, and its cause quotes the value.
        for name in _not_json():
            errors.print(f"[red]Bad setting[/red] {name}: this is not JSON")
        raise typer.Exit(2) from None
    if model is not None:
        chosen = settings.model.model_copy(update={"path": model})
        settings = settings.model_copy(update={"model": chosen})
    return settings


def _not_json() -> list[str]:
    """The variables that must be JSON and are not: groups of settings, and lists in them."""
    wanted: list[str] = []
    for group, field in Settings.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            wanted.append(group)
            members = field.annotation.model_fields.items()
            wanted += [f"{group}__{name}" for name, each in members if _is_list(each.annotation)]
    names = {f"DEEPFAKE_{name.upper()}" for name in wanted}
    return [name for name, text in os.environ.items() if name.upper() in names and _broken(text)]


def _is_list(annotation: object) -> bool:
    return get_origin(annotation) is list


def _broken(text: str) -> bool:
    try:
        loads(text)
    except ValueError:
        return True
    return False
