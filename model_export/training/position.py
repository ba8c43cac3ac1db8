"""Where a run stands: what a checkpoint holds beside the arrays."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from model_export.training.batch import Batch
from model_export.training.logs import Row
from model_export.training.objective import Outcome
from model_export.training.validation import Validation


@dataclass(slots=True)
class Tally:
    """Sums over the epoch so far; of several processes, the first one's."""

    clips: int = 0
    loss: float = 0.0
    mask_loss: float = 0.0
    right: int = 0
    seconds: float = 0.0
    waited: float = 0.0

    def add(self, batch: Batch, outcome: Outcome) -> None:
        """Count a batch."""
        self.clips += len(batch)
        self.loss += outcome.loss.item() * len(batch)
        if outcome.mask_loss is not None:
            self.mask_loss += outcome.mask_loss.item() * len(batch)
        self.right += int(((outcome.score >= 0.5) == (batch.fake > 0.5)).sum())


@dataclass(slots=True)
class Position:
    """``epoch`` from 1 and ``batch`` are what comes next; ``step`` and ``samples`` what was done
    since the run began."""

    epoch: int = 1
    batch: int = 0
    step: int = 0
    samples: int = 0
    tally: Tally = field(default_factory=Tally)
    rows: list[Row] = field(default_factory=list)

    def dump(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    @classmethod
    def load(cls, values: dict[str, Any]) -> Position:
        """What ``dump`` gave."""
        rows = [Row(**row) for row in values["rows"]]
        return cls(**{**values, "tally": Tally(**values["tally"]), "rows": rows})

    def finish_epoch(self, validation: Validation, validation_seconds: float, rate: float) -> Row:
        """The row of the epoch that is over; the next one begins."""
        tally = self.tally
        row = Row(
            epoch=self.epoch,
            step=self.step,
            samples=self.samples,
            loss=tally.loss / tally.clips,
            accuracy=tally.right / tally.clips,
            mask_loss=tally.mask_loss / tally.clips,
            validation_loss=validation.loss,
            validation_accuracy=validation.accuracy,
            validation_auc=validation.auc,
            rate=rate,
            seconds=tally.seconds,
            validation_seconds=validation_seconds,
            loader_share=tally.waited / tally.seconds,
            clips_per_second=tally.clips / tally.seconds,
        )
        self.rows.append(row)
        self.next_epoch()
        return row

    def next_epoch(self) -> None:
        """Stand at the beginning of the next epoch."""
        self.epoch, self.batch, self.tally = self.epoch + 1, 0, Tally()
