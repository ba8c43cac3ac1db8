"""``score`` and ``demo``: one video, on this machine, without a server."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.console import errors, show_problem
from service.cli.engine import report_on, started_engine
from service.cli.receipts import read_signer, write_receipt
from service.cli.settings import ModelOption, read_settings
from service.engine import DetectionOptions
from service.errors import ServiceError
from service.report import Report
from service.settings import Settings
from service.sources.file import read_file
from service.sources.source import Memory, Source

if TYPE_CHECKING:
    from service.signing import Signer


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
    plot: Annotated[
        Path | None,
        typer.Option(
            help="Draw each face's scores over time, as PNG, SVG or PDF.", metavar="OUT.png"
        ),
    ] = None,
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
    if plot:
        _require_picture(plot)
    try:
        settings = read_settings(model)
        signer = read_signer(settings) if receipt else None
        report = asyncio.run(_score(_opened(video, settings), settings, options, signer))
    except ServiceError as error:
        show_problem(error)
        raise typer.Exit(1) from error
    if json:
        typer.echo(report.model_dump_json(indent=2))
    else:
        from service.tables import print_report

        print_report(report)
    if plot:
        _draw(report, plot)
    if receipt and report.receipt:
        write_receipt(report.receipt, receipt)


def demo(model: ModelOption = None) -> None:
    """Make a clip of six people with one forged face, score it and show what was found.

    Needs no network and no file: the photograph comes with the InsightFace package.
    """
    from service.demo import make_demo
    from service.tables import print_demo

    settings = read_settings(model)
    with errors.status("Making a clip with one forged face"):
        made = make_demo()
    opening = nullcontext[Source](Memory(made.video))
    try:
        report = asyncio.run(_score(opening, settings, DetectionOptions(detail="full")))
    except ServiceError as error:
        show_problem(error)
        raise typer.Exit(1) from error
    print_demo(report, made)


def _require_picture(file: Path) -> None:
    """Before the work, not after it."""
    if file.suffix not in (".png", ".svg", ".pdf"):
        raise typer.BadParameter("its name ends with .png, .svg or .pdf", param_hint="--plot")
    if not file.parent.is_dir():
        raise typer.BadParameter("there is no such folder", param_hint="--plot")


def _draw(report: Report, file: Path) -> None:
    # Drawing takes a second to load.
    from service.plot import plot

    try:
        plot(report).savefig(file, dpi=110)
    except OSError as error:
        errors.print(f"[red]Not written[/red]: {error.strerror}")
        raise typer.Exit(1) from None


async def _score(
    opening: AbstractAsyncContextManager[Source],
    settings: Settings,
    options: DetectionOptions,
    signer: Signer | None = None,
) -> Report:
    async with started_engine(settings) as engine, opening as media:
        if signer is None:
            return await report_on(media, engine, options)
        from service.signing import require_kept, signed

        require_kept(media)
        return await signed(await report_on(media, engine, options), media, options, signer)


def _opened(video: str, settings: Settings) -> AbstractAsyncContextManager[Source]:
    if video.startswith(("http://", "https://")):
        from service.sources.remote import Fetcher

        fetcher = Fetcher(settings.fetch, settings.limits.bytes)
        return fetcher.open(fetcher.checked(video))
    file = Path(video)
    if not file.is_file():
        raise typer.BadParameter("there is no such file", param_hint="FILE")
    return nullcontext(Memory(read_file(file, settings.limits.bytes)))
