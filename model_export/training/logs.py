"""The log of a run: a row for every epoch, as CSV and for TensorBoard."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from torch.utils.tensorboard.writer import SummaryWriter

from model_export.files import replace_text

LOG = "log.csv"


@dataclass(frozen=True, slots=True)
class Row:
    """An epoch. ``step`` and ``samples`` count from the run's start. Losses are means over clips,
    without the L2 penalty; that of the masks is 0 without a mask head. Accuracies are shares of
    clips at a threshold of 0.5. ``rate`` is that of the epoch's last step, ``seconds`` of training
    alone, ``loader_share`` how much of it the model waited for clips."""

    epoch: int
    step: int
    samples: int
    loss: float
    accuracy: float
    mask_loss: float
    validation_loss: float
    validation_accuracy: float
    validation_auc: float
    rate: float
    seconds: float
    validation_seconds: float
    loader_share: float
    clips_per_second: float

    def __str__(self) -> str:
        return (
            f"epoch {self.epoch}: loss {self.loss:.4f}, accuracy {self.accuracy:.3f}; validation "
            f"loss {self.validation_loss:.4f}, accuracy {self.validation_accuracy:.3f}, AUC "
            f"{self.validation_auc:.3f}; {self.clips_per_second:.1f} clips/s"
        )


def write_log(rows: Sequence[Row], folder: Path) -> None:
    """Write ``log.csv``. Raises ``OSError``."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, [field.name for field in fields(Row)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in rows)
    replace_text(folder / LOG, text.getvalue())


class Board:
    """The same for TensorBoard, in the run's folder; what a resumed run repeats is hidden."""

    def __init__(self, folder: Path, step: int) -> None:
        self._writer = SummaryWriter(folder / "tensorboard", purge_step=step + 1 if step else None)

    def add(self, row: Row) -> None:
        """One epoch."""
        for name, value in asdict(row).items():
            if name not in ("epoch", "step"):
                self._writer.add_scalar(name.replace("validation_", "validation/"), value, row.step)

    def add_loss(self, loss: float, step: int) -> None:
        """The loss of one step, within an epoch."""
        self._writer.add_scalar("step_loss", loss, step)

    def close(self) -> None:
        """Write what is left."""
        self._writer.close()
