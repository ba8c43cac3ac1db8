"""The command line: ``deepfake-service`` or ``python -m service``."""

from __future__ import annotations

import asyncio
import os
from contextlib import AbstractAsyncContextManager, nullcontext
from enum import StrEnum
from json import loads
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_origin

import typer
from pydantic import BaseModel, ValidationError
from pydantic_settings import SettingsError
from rich.console import Console

from service import __version__
from service.engine import DetectionOptions, Event, Finished
from service.errors import ModelError, ServiceError, TooLarge
from service.progress import download_bar, progress_bar
from service.report import Report
from service.settings import AuthSettings, Settings
from service.sources.source import Memory, Source

if TYPE_CHECKING:
    from service.receipt import Signer

app = typer.Typer(
    help="Find likely deepfakes: which faces, at which seconds, how sure.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_show_locals=False,
)

_LOOPBACK = ("127.0.0.1", "::1", "localhost")

_errors = Console(stderr=True, highlight=False)

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


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=0, max=65535)] = 8000,
    model: ModelOption = None,
) -> None:
    """Serve the REST API. Settings come from [bold]DEEPFAKE_*[/bold] environment variables."""
    from service.server import run

    settings = _settings(model)
    if settings.fetch.loopback and host not in _LOOPBACK:
        _errors.print(
            "[red]Bad setting[/red] DEEPFAKE_FETCH__LOOPBACK: for tests, where --host is 127.0.0.1"
        )
        raise typer.Exit(2)
    try:
        run(settings, host, port)
    except ModelError as error:
        _errors.print(f"[red]Not started[/red]: {error}")
        raise typer.Exit(2) from None


@app.command()
def score(
    video: Annotated[str, typer.Argument(help="Video file or URL.", metavar="FILE|URL")],
    model: ModelOption = None,
    sampling: Annotated[
        str, typer.Option(help="auto, full, paper (80 frames) or stride=<seconds>.")
    ] = "auto",
    full: Annotated[bool, typer.Option("--full", help="With --json: every clip and box.")] = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="With --json: class activation maps.")
    ] = False,
    json: Annotated[
        bool, typer.Option("--json", help="Print the report alone, as JSON, on standard output.")
    ] = False,
    receipt: Annotated[
        Path | None,
        typer.Option(
            help="Write a signed record of the finding; needs DEEPFAKE_RECEIPT__KEY.",
            metavar="R.json",
        ),
    ] = None,
) -> None:
    """Score one video file, or one behind a URL.

    Exit status: 0 with a report, whatever its verdict; 1 where there is none.
    """
    options = DetectionOptions(sampling, "full" if full else "summary", explain)
    try:
        settings = _settings(model)
        signer = _signer(settings) if receipt else None
        report = asyncio.run(_score(_opened(video, settings), settings, options, signer))
    except ServiceError as error:
        _errors.print(f"[red]{error.title}[/red] ({error.code}): {error.detail}")
        raise typer.Exit(1) from error
    if receipt and report.receipt:
        receipt.write_text(report.receipt.model_dump_json(indent=2) + "\n")
    if json:
        typer.echo(report.model_dump_json(indent=2))
    else:
        from service.tables import print_report

        print_report(report)


@app.command()
def demo(model: ModelOption = None) -> None:
    """Make a clip of six people with one forged face, score it and show what was found.

    Needs no network and no file: the photograph comes with the InsightFace package.
    """
    from service.demo import make_demo
    from service.tables import print_demo

    settings = _settings(model)
    with _errors.status("Making a clip with one forged face"):
        made = make_demo()
    media = Memory(made.video)
    try:
        opening = nullcontext[Source](media)
        report = asyncio.run(_score(opening, settings, DetectionOptions(detail="full")))
    except ServiceError as error:
        _errors.print(f"[red]{error.title}[/red] ({error.code}): {error.detail}")
        raise typer.Exit(1) from error
    print_demo(report, made)


class PackName(StrEnum):
    """The InsightFace packs whose hashes are known."""

    BUFFALO_SC = "buffalo_sc"
    BUFFALO_L = "buffalo_l"


@app.command("fetch-detector")
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

    _errors.print(LICENCE)
    if not accept:
        typer.confirm("Is that how you will use it?", abort=True, err=True)
    try:
        with download_bar(_errors) as show:
            path = fetch_pack(PACKS[pack.value], folder, progress=show)
    except ModelError as error:
        _errors.print(f"[red]Not fetched[/red]: {error}")
        raise typer.Exit(1) from error
    typer.echo(path)


@app.command("receipt-key")
def receipt_key(
    file: Annotated[Path, typer.Argument(help="File for the private key.", metavar="KEY.pem")],
) -> None:
    """Make a key that signs receipts. Prints the public one, which those who verify need."""
    from service.receipt import new_key

    private, public = new_key()
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        _errors.print(f"[red]Not written[/red]: {error.strerror}")
        raise typer.Exit(1) from None
    with os.fdopen(descriptor, "wb") as target:
        target.write(private)
    typer.echo(public)


@app.command()
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
        found = receipts.verify(receipt.read_bytes(), public_key)
        if video is not None and receipts.hash_of(video) != found.media_sha256:
            raise ValueError("it is about another file")
    except ValueError as error:
        _errors.print(f"[red]Not valid[/red]: {error}")
        raise typer.Exit(1) from None
    for name, value in receipts.describe(found):
        typer.echo(f"{name:>8}  {value}")
    if public_key is None:
        _errors.print(f"Signed with {found.key}. Whose key that is --key says.", style="dim")


@app.command()
def key(name: Annotated[str, typer.Argument(help="Whose key it is; logs show this name.")]) -> None:
    """Make an API key. It is shown this once: the service needs to know its hash alone."""
    from service.auth import entry, new_key

    made = new_key()
    setting = entry(name, made)
    try:
        AuthSettings(keys=[setting])
    except ValidationError:
        _errors.print("[red]Bad name[/red]: up to 64 of a-z, 0-9, '.', '_' and '-'")
        raise typer.Exit(2) from None
    typer.echo(made)
    _errors.print("Add to DEEPFAKE_AUTH__KEYS, a JSON list:", style="dim")
    typer.echo(f'"{setting}"')


def _settings(model: Path | None) -> Settings:
    try:
        settings = Settings()
    except ValidationError as error:
        for wrong in error.errors():
            name = "__".join(str(part) for part in wrong["loc"]).upper()
            _errors.print(f"[red]Bad setting[/red] DEEPFAKE_{name}: {wrong['msg']}")
        raise typer.Exit(2) from None
    except SettingsError:
        # Its text names a group of settings at best, and its cause quotes the value.
        for name in _not_json():
            _errors.print(f"[red]Bad setting[/red] {name}: this is not JSON")
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


def _opened(video: str, settings: Settings) -> AbstractAsyncContextManager[Source]:
    if video.startswith(("http://", "https://")):
        from service.sources.remote import Fetcher

        fetcher = Fetcher(settings.fetch, settings.limits.bytes)
        return fetcher.open(fetcher.checked(video))
    file = Path(video)
    if not file.is_file():
        raise typer.BadParameter("there is no such file", param_hint="FILE")
    return nullcontext(_read(file, settings))


def _read(file: Path, settings: Settings) -> Memory:
    limit = settings.limits.bytes
    with file.open("rb") as source:
        data = source.read(limit + 1)
    if len(data) > limit:
        raise TooLarge(f"a video may have at most {limit} bytes")
    return Memory(data)


def _signer(settings: Settings) -> Signer:
    from service.receipt import Signer

    if settings.receipt.key is None:
        _errors.print("[red]No key[/red]: set DEEPFAKE_RECEIPT__KEY")
        raise typer.Exit(2)
    try:
        return Signer.load(settings.receipt.key)
    except ModelError as error:
        _errors.print(f"[red]Bad setting[/red] DEEPFAKE_RECEIPT__KEY: {error}")
        raise typer.Exit(2) from None


async def _score(
    opening: AbstractAsyncContextManager[Source],
    settings: Settings,
    options: DetectionOptions,
    signer: Signer | None = None,
) -> Report:
    from service.local_engine import LocalEngine

    engine = LocalEngine(settings)
    await engine.start()
    try:
        async with opening as media:
            with progress_bar(_errors) as show:
                event: Event | None = None
                async for event in engine.detect(media, options):
                    show(event)
            if not isinstance(event, Finished):
                raise RuntimeError("the engine ended without a report")
            if signer is None:
                return event.report
            from service.receipt import signed

            return await signed(event.report, media, options, signer)
    finally:
        await engine.stop()
