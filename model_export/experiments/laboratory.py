"""Trains a strategy within a budget, scores it, and does neither twice.

Everything has its folder, ``<architecture>/<strategy>/seed-<n>/<stage>``: what is finished there
is used again, what was interrupted goes on where it stood.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from model_export.data.prepared import PreparedDataset
from model_export.evaluation.score_file import load_scores, save_scores
from model_export.evaluation.scores import ScoreTable, score_run
from model_export.experiments.budget import Budget
from model_export.experiments.strategy import Strategy
from model_export.training.checkpoint import WEIGHTS, load_run
from model_export.training.run_folder import RunResult
from model_export.training.trainer import train

Job = tuple[str, Strategy, int]
"""Network, strategy, seed."""


@dataclass(frozen=True, slots=True)
class Trained:
    """A trained strategy: its folder, what each of its own stages took, and the model it started
    from; None where that was random weights."""

    strategy: Strategy
    folder: Path
    stages: tuple[RunResult, ...]
    source: Trained | None


@dataclass(frozen=True, slots=True)
class Laboratory:
    """Experiments on one prepared dataset within one budget, under ``folder``; ``console`` shows
    the progress of each training."""

    dataset: PreparedDataset
    budget: Budget
    folder: Path
    console: Console | None = None

    def train(self, architecture: str, strategy: Strategy, seed: int) -> Trained:
        """Train ``strategy`` and, before it, the model it starts from. Raises ``TrainingError``."""
        model = self.budget.model(architecture)
        start = strategy.start
        source = self.train(architecture, start, seed) if start else None
        weights = source.folder if source else None
        results = []
        for stage in model.transfer if start else model.stages:
            config = self.budget.config(
                *(architecture, stage),
                name=f"{architecture} {strategy}, {stage.name}",
                seed=seed,
                folder=self.dataset.folder,
                videos=self.videos(strategy),
                weights=weights,
            )
            folder = self._place(architecture, strategy, seed) / stage.name
            results.append(train(config, folder, console=self.console))
            weights = folder
        assert weights is not None
        return Trained(strategy, weights, tuple(results), source)

    def scores(self, trained: Trained) -> ScoreTable:
        """P(fake) of every test clip of every method."""
        path = trained.folder / f"test-scores-{self._stamp(trained.folder)}.csv"
        if path.exists():
            return load_scores(path)
        model, config = load_run(trained.folder)
        table = score_run(
            model, config.model.scaling, self.dataset, "test", length=config.model.length
        )
        save_scores(table, path)
        return table

    def _stamp(self, run: Path) -> str:
        """Changes with the weights and with the test clips: scores of others are not used."""
        digest = hashlib.sha256((run / WEIGHTS).read_bytes())
        for row in self.dataset.videos("test"):
            file = self.dataset.path(row.video.id).stat()
            digest.update(f"{row.video.id} {file.st_size} {file.st_mtime_ns};".encode())
        return digest.hexdigest()[:12]

    def videos(self, strategy: Strategy) -> Mapping[str, int | None]:
        """Forged training videos of each method: all from scratch, few in a transfer."""
        count = self.budget.few_shot if strategy.kind == "transfer" else None
        return dict.fromkeys(strategy.methods, count)

    def _place(self, architecture: str, strategy: Strategy, seed: int) -> Path:
        return self.folder / architecture / strategy.slug / f"seed-{seed}"
