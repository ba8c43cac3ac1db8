"""Reports as tables for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from service.report import EnsembleInfo, Report, Segment

if TYPE_CHECKING:
    from service.demo import Demo

_STYLES = {"fake": "bold red", "real": "green", "uncertain": "yellow"}
_LEVELS = " ▁▂▃▄▅▆▇█"
_COLUMNS = 24
_COMMON_NAMES = {"no_face": "no face", "unable": "unable to say"}


def timeline(segments: Sequence[Segment], duration: float, columns: int = _COLUMNS) -> Text:
    """A face's scores over the video's time: height is P(fake), colour the verdict, blank where
    nothing was scored."""
    text = Text()
    for column in range(columns):
        moment = (column + 0.5) * duration / columns
        here = [each for each in segments if each.start <= moment < each.end]
        if not here:
            text.append(" ")
            continue
        segment = here[0]
        level = 1 + round(segment.score * (len(_LEVELS) - 2))
        text.append(_LEVELS[level], style=_STYLES[segment.verdict])
    return text


def print_report(report: Report, console: Console | None = None) -> None:
    """The report for a person."""
    console = console or Console()
    _print_head(report, console)
    if report.faces:
        console.print(_faces(report, forged=None))
    _print_tail(report, console)


def print_demo(report: Report, demo: Demo, console: Console | None = None) -> None:
    """The report on the demonstration clip, with the truth beside it."""
    console = console or Console()
    _print_head(report, console)
    forged = demo.forged_face(report)
    if report.faces:
        console.print(_faces(report, forged=forged))
    if forged is None:
        console.print("The forged face was not found by the detector.")
    else:
        order = sorted(report.faces, key=lambda face: -face.raw_score)
        rank = 1 + [face.id for face in order].index(forged)
        console.print(
            f"Truly forged: face {forged}. The model ranks it {rank} of {len(order)} by suspicion."
        )
    _print_tail(report, console)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _faces(report: Report, forged: int | None) -> Table:
    table = Table(title=f"{_count(len(report.faces), 'face')}, most suspicious first")
    table.add_column("face", justify="right")
    table.add_column("P(fake)", justify="right")
    table.add_column("verdict")
    table.add_column("seconds")
    table.add_column(f"0 s – {report.media.duration:.1f} s", min_width=_COLUMNS)
    if forged is not None:
        table.add_column("truth")
    for face in sorted(report.faces, key=lambda each: -each.raw_score):
        row: list[str | Text] = [
            str(face.id),
            f"{face.score:.3f}",
            Text(face.verdict, style=_STYLES[face.verdict]),
            f"{face.start:.1f}–{face.end:.1f}",
            timeline(face.segments, report.media.duration),
        ]
        if forged is not None:
            row.append("forged" if face.id == forged else "real")
        table.add_row(*row)
    return table


def _print_head(report: Report, console: Console) -> None:
    media, model = report.media, report.model
    said = _COMMON_NAMES.get(report.verdict, report.verdict)
    style = _STYLES.get(report.verdict, "bold")
    score = "" if report.score is None else f"  P(fake) {report.score:.3f}"
    console.print(Text.assemble("Verdict: ", (said, style), score))
    rate = f"{media.fps:.2f} frames/s" if media.fps else "unknown rate"
    console.print(
        f"{media.duration:.1f} s, {media.width}×{media.height}, {rate}, {media.codec}; "
        f"{_count(report.coverage.clips_scored, 'clip')} of "
        f"{_count(report.coverage.faces_kept, 'face')} scored "
        f"({report.coverage.sampling}), longest stretch not scored "
        f"{report.coverage.longest_unscored:.1f} s"
    )
    if isinstance(model, EnsembleInfo):
        console.print(f"Ensemble {model.name}: {model.rule} of {len(model.members)} models")
    for each in model.members if isinstance(model, EnsembleInfo) else (model,):
        console.print(
            f"Model {each.name} {each.version} ({each.architecture}), detector {each.detector}, "
            f"{each.provider}, {each.precision}. Trained on: {each.trained_on}"
        )


def _print_tail(report: Report, console: Console) -> None:
    for reason in report.reasons:
        console.print(f"• {reason}")
    console.print(f"{report.timing.total:.1f} s of work", style="dim")
