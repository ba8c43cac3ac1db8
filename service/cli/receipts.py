"""``receipt-key`` and ``verify``: who signs a finding, and whether one still holds."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.console import errors
from service.errors import ModelError
from service.settings import Settings

if TYPE_CHECKING:
    from service.receipt import Receipt
    from service.signing import Signer


def receipt_key(
    file: Annotated[Path, typer.Argument(help="File for the private key.", metavar="KEY.pem")],
) -> None:
    """Make a key that signs receipts. Prints the public one, which those who verify need."""
    from service.receipt import new_key

    private, public = new_key()
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        errors.print(f"[red]Not written[/red]: {error.strerror}")
        raise typer.Exit(1) from None
    with os.fdopen(descriptor, "wb") as target:
        target.write(private)
    typer.echo(public)


def verify(
    receipt: Annotated[Path, typer.Argument(help="Receipt.", exists=True, dir_okay=False)],
    video: Annotated[
        Path | None, typer.Argument(help="The video it is about.", exists=True, dir_okay=False)
    ] = None,
    public_key: Annotated[
        str | None, typer.Option("--key", help="The public key that is trusted, base64.")
    ] = None,
) -> None:
    """Check a receipt: its signature, and whether it is about this very file.

    Exit status: 0 where all that was asked holds, else 1.
    """
    from service import receipt as receipts

    try:
        with receipt.open("rb") as source:
            found = receipts.verify(source.read(receipts.LARGEST + 1), public_key)
        if video is not None and receipts.hash_of(video) != found.media_sha256:
            raise ValueError("it is about another file")
    except ValueError as error:
        errors.print(f"[red]Not valid[/red]: {error}")
        raise typer.Exit(1) from None
    for name, value in receipts.describe(found):
        # Whoever made it chose its words: none may move a terminal's cursor or turn its text round.
        typer.echo(f"{name:>8}  {str(value).encode('unicode_escape').decode('ascii')}")
    if public_key is None:
        errors.print(f"Signed with {found.key}. Whose key that is --key says.", style="dim")


def read_signer(settings: Settings) -> Signer:
    """The signer that ``receipt.key`` names.

    Raises:
        typer.Exit: with status 2 where there is none or it cannot be used, once that was printed.
    """
    from service.signing import Signer

    if settings.receipt.key is None:
        errors.print("[red]No key[/red]: set DEEPFAKE_RECEIPT__KEY")
        raise typer.Exit(2)
    try:
        return Signer.load(settings.receipt.key)
    except ModelError as error:
        errors.print(f"[red]Bad setting[/red] DEEPFAKE_RECEIPT__KEY: {error}")
        raise typer.Exit(2) from None


def write_receipt(receipt: Receipt, file: Path) -> None:
    """Write JSON for people and programs.

    Raises:
        typer.Exit: with status 1 where it cannot be written, once that was printed.
    """
    try:
        file.write_text(receipt.model_dump_json(indent=2) + "\n")
    except OSError as error:
        errors.print(f"[red]Not written[/red]: {error.strerror}")
        raise typer.Exit(1) from None
