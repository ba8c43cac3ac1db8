"""Contact sheets: clips below each other, the worst mistakes first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rich.console import Console
from rich.progress import track

from model_export.explain.choice import ChosenClip
from model_export.explain.model import OpenModel
from model_export.explain.picture import Picture, Row


def contact_sheet(clips: Sequence[ChosenClip], title: str) -> Picture:
    """One row a clip, its frames as columns; scored clips by how far they are from the truth."""
    ordered = sorted(clips, key=lambda clip: -clip.mistake)
    columns = tuple(f"frame {number + 1}" for number in range(len(clips[0].pixels)))
    return Picture(title, columns, tuple(Row(clip.caption, tuple(clip.pixels)) for clip in ordered))


def scored(
    clips: Sequence[ChosenClip], model: OpenModel, console: Console | None = None
) -> list[ChosenClip]:
    """The clips with the model's scores. Shows progress on ``console``."""
    return [
        replace(clip, score=model.score(clip.pixels))
        for clip in track(clips, "scoring", console=console, disable=console is None)
    ]
