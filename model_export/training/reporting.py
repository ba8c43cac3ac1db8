"""What a person sees of a run while it goes on."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


class Reporter:
    """A bar with loss, clips a second and the time left, and lines above it; nothing without a
    console."""

    def __init__(self, console: Console | None, steps: int, done: int) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed}/{task.total}"),
            TimeElapsedColumn(),
            TextColumn("left:"),
            TimeRemainingColumn(),
            console=console,
            disable=console is None,
        )
        self._task = self._progress.add_task("training", total=steps, completed=done)
        self._console = console

    def __enter__(self) -> Reporter:
        self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._progress.stop()

    def say(self, text: str) -> None:
        """A line that stays."""
        if self._console is not None:
            self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def step(self, done: int, epoch: int, loss: float, speed: float) -> None:
        """``speed`` in clips a second."""
        text = f"epoch {epoch}: loss {loss:.4f}, {speed:.1f} clips/s"
        self._progress.update(self._task, completed=done, description=text)
