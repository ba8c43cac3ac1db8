"""``evaluate``: a labelled list of videos, scored here or by a running service."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table as Shown

from service import __version__
from service.cli.console import errors
from service.cli.engine import started_engine
from service.cli.settings import ModelOption, read_settings
from service.engine import DetectionOptions
from service.errors import NotReady, ServiceError
from service.evaluation.journal import Journal, JournalError, open_journal
from service.evaluation.manifest import Item, ManifestError, read_manifest
from service.evaluation.running import Effort, Scorer, Stopped, evaluate
from service.evaluation.scorers import EngineScorer
from service.evaluation.server import ServerScorer
from service.evaluation.tally import Tally
from service.measures.rendering import Table
from service.progress import counting_bar
from service.settings import Settings
from service.sources.remote import Fetcher
from service.video.sampling import PATTERN

MOST = 1_000_000
"""Videos of one list."""

_INTERRUPTED = 130
"""Exit status, as shells give it after Ctrl-C."""


def _known(sampling: str) -> str:
    if not re.fullmatch(PATTERN, sampling):
        raise typer.BadParameter("auto, full, paper or stride=<seconds>")
    return sampling


def evaluate_list(
    manifest: Annotated[
        Path,
        typer.Argument(
            help="CSV or JSON lines: label (real, fake), url or path, and if you like id, dataset "
            "and group.",
            exists=True,
            dir_okay=False,
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for rows and reports. Default: the list's name + -evaluation."),
    ] = None,
    server: Annotated[
        str | None,
        typer.Option(
            help="Score on this running service, whose key is in DEEPFAKE_KEY.", metavar="URL"
        ),
    ] = None,
    key: Annotated[str | None, typer.Option(envvar="DEEPFAKE_KEY", hidden=True)] = None,
    model: ModelOption = None,
    sampling: Annotated[
        str,
        typer.Option(help="auto, full, paper (80 frames) or stride=<seconds>.", callback=_known),
    ] = "paper",
    concurrency: Annotated[int, typer.Option(help="Videos at a time.", min=1, max=64)] = 2,
    again: Annotated[
        bool, typer.Option("--again", help="Try those once more that ended in an error.")
    ] = False,
) -> None:
    """Score a labelled list of videos and measure how good the verdicts are.

    Media are read from where they lie and never stored. The same command goes on where it was
    interrupted: each video becomes a row in OUT/rows.jsonl, also one that cannot be scored.

    Exit status: 0 once every video has its row, 1 where something stopped it, 130 after Ctrl-C.
    """
    # Drawing and measuring load much that nothing else needs.
    from service.evaluation.result import result_of
    from service.evaluation.writing import summary, write_report

    if server and model:
        raise typer.BadParameter("the service chooses its model", param_hint="--model")
    settings = read_settings(model)
    folder = out or Path(f"{manifest.stem}-evaluation")
    tally = Tally()
    try:
        data = manifest.read_bytes()
        items = read_manifest(data, MOST, MOST)
        folder.mkdir(parents=True, exist_ok=True)
        head = about(data, sampling, server)
        with open_journal(folder / "rows.jsonl", head, again=again) as journal:
            for row in journal.rows:
                tally.add(row)
            scorer = (
                ServerScorer(server, key, {"sampling": sampling}, manifest.parent)
                if server
                else _engine(settings, sampling, manifest.parent)
            )
            with suppress(KeyboardInterrupt):
                asyncio.run(_run(scorer, items, journal, tally, Effort(concurrency)))
        result = result_of(tally)
        write_report(tally, result, folder)
    except (ManifestError, JournalError, Stopped, ServiceError, OSError) as error:
        errors.print("[red]Stopped[/red]: ", end="")
        errors.print(_reason(error, manifest), markup=False)
        raise typer.Exit(1) from None
    _print(summary(result))
    typer.echo(f"{folder / 'report.html'}")
    if len(tally.rows) < len(items):
        errors.print(f"Stopped after {len(tally.rows)} of {len(items)} videos; go on any time.")
        raise typer.Exit(_INTERRUPTED)


async def _run(
    opening: AbstractAsyncContextManager[Scorer],
    items: Sequence[Item],
    journal: Journal,
    tally: Tally,
    effort: Effort,
) -> None:
    done = {row.id for row in tally.rows}
    left = [item for item in items if item.id not in done]
    model = next((row.sha256 for row in tally.rows if row.sha256), None)
    if not left:
        return
    async with opening as scorer:
        with counting_bar(errors, "videos", len(items)) as show:
            show(len(done))
            async for row in evaluate(left, scorer, effort):
                model = model or row.sha256
                if row.sha256 not in (None, model):
                    raise JournalError(
                        "another model scores than at the beginning: start anew in another folder"
                    )
                journal.append(row)
                tally.add(row)
                show(len(tally.rows))


@asynccontextmanager
async def _engine(settings: Settings, sampling: str, folder: Path) -> AsyncIterator[Scorer]:
    fetcher = Fetcher(settings.fetch, settings.limits.bytes)
    async with started_engine(settings) as engine:
        state = engine.readiness()
        if not state.ready:
            raise NotReady("; ".join(state.missing))
        options = DetectionOptions(sampling)
        yield EngineScorer(engine, fetcher, options, folder, settings.limits.bytes)


def about(data: bytes, sampling: str, server: str | None) -> dict[str, str]:
    """The head of a journal: what rows must have in common. Which model scores, they say
    themselves."""
    return {
        "version": __version__,
        "list": hashlib.sha256(data).hexdigest(),
        "sampling": sampling,
        # Without what may stand before the host: a password is not for a file.
        "server": re.sub(r"//[^/@]*@", "//", server or ""),
    }


def _reason(error: Exception, manifest: Path) -> str:
    if isinstance(error, ManifestError):
        return f"{manifest}: {error}"
    return error.detail if isinstance(error, ServiceError) else str(error)


def _print(table: Table) -> None:
    shown = Shown(title=table.title)
    for column in table.columns:
        shown.add_column(column)
    for row in table.rows:
        shown.add_row(*row)
    Console(markup=False, emoji=False).print(shown)
