"""The tables of the two papers: their figures as printed, and which training each cell is of.

Tariq, Lee, Woo: "One Detector to Rule Them All" (WWW '21), and "A Convolutional LSTM based Residual
Network for Deepfake Video Detection" (2020). The figures lie in ``published/*.csv``.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from model_export.evaluation.methods import OPEN, TRAINED
from model_export.evaluation.results import Result
from service.evaluation import papers as table_six

PUBLISHED = Path(__file__).parent / "published"

AVERAGE = "average_as_printed"
METHOD = "method"
"""The column that names the network."""

LABELS: Mapping[str, str] = MappingProxyType(
    {
        "clrnet": "CLRNet",
        "shallownetv3": "ShallowNet",
        "mesoinception4": "MesoNet",
        "meso4": "MesoNet",
        "xception": "Xception",
        "xception_ffpp": "FF++",
        "forensic_transfer": "ForensicTransfer",
        "dbirnn": "DBiRNN",
        "cnn_lstm": "CNN+LSTM",
    }
)
"""What the papers call a network of this project."""


@dataclass(frozen=True, slots=True)
class Setting:
    """Which results belong in a cell; None: whatever they were trained on."""

    strategy: str
    trained_on: frozenset[str] | None
    transferred_to: frozenset[str] | None
    tested: str

    def holds(self, result: Result) -> bool:
        """Whether ``result`` belongs there, whatever its network and seed."""
        return (
            result.strategy == self.strategy
            and result.method_tested == self.tested
            and self.trained_on in (None, frozenset(result.trained_on))
            and self.transferred_to in (None, frozenset(result.transferred_to))
        )


Row = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class PaperTable:
    """A table: ``keys`` are the columns that say what a row is of, ``setting`` what a cell (of the
    row, under the column) is of, ``remark`` what has to be known of our own cells."""

    name: str
    title: str
    file: Path
    keys: tuple[str, ...]
    setting: Callable[[Row, str], Setting]
    remark: str = ""

    def rows(self) -> list[Row]:
        """The figures as printed."""
        with self.file.open(newline="") as file:
            return list(csv.DictReader(file))


def _single(source: str, tested: str) -> Setting:
    return Setting("single", frozenset({source}), frozenset(), tested)


def _transfer(source: str, targets: str, tested: str) -> Setting:
    return Setting("transfer", _set(source), _set(targets), tested)


def _set(methods: str) -> frozenset[str]:
    return frozenset(methods.split("+"))


def _merge(tested: str) -> Setting:
    return Setting("merge", frozenset(TRAINED), frozenset(), tested)


_OPEN_DOMAIN = {
    "single_FS": _single("FS", OPEN),
    "merge_FS+DF+DFD+F2F+NT": _merge(OPEN),
    "transfer_NT->DF+FS+DFD+F2F": _transfer("NT", "DF+FS+DFD+F2F", OPEN),
    "best_restricted_grid_search": Setting("grid", None, None, OPEN),
}

TABLES: Mapping[str, PaperTable] = MappingProxyType(
    {
        table.name: table
        for table in (
            PaperTable(
                "www21-table3",
                "In-domain attacks (Table 3, WWW '21)",
                PUBLISHED / "www21_table3_in_domain_f1.csv",
                (METHOD,),
                lambda row, column: _single(column, column),
            ),
            PaperTable(
                "www21-table4",
                "Out-of-domain attacks, trained on F2F (Table 4, WWW '21)",
                PUBLISHED / "www21_table4_out_of_domain_trained_on_F2F_f1.csv",
                (METHOD,),
                lambda row, column: _single("F2F", column),
            ),
            PaperTable(
                "www21-table5-merge",
                "Merge of FS, DF, DFD, F2F, NT (Table 5, WWW '21)",
                PUBLISHED / "www21_table5_merge_f1.csv",
                (METHOD,),
                lambda row, column: _merge(column),
            ),
            PaperTable(
                "www21-table5-transfer",
                "Transfer from FS to DF, DFD, F2F, NT (Table 5, WWW '21)",
                PUBLISHED / "www21_table5_transfer_from_FS_f1.csv",
                (METHOD,),
                lambda row, column: _transfer("FS", "DF+DFD+F2F+NT", column),
            ),
            PaperTable(
                "www21-table6",
                "Open-domain attacks, DFW (Table 6, WWW '21)",
                table_six.FILE,
                (METHOD,),
                lambda row, column: _OPEN_DOMAIN[column],
                f"Ours under 'best restricted grid search' is of that half of {OPEN}'s people on "
                "which the choice was not made, with as many real clips as forged ones; the other "
                f"cells are of all of {OPEN} against all real clips.",
            ),
            PaperTable(
                "arxiv20-table2",
                "Base and zero-shot (Table 2, Tariq et al. 2020)",
                PUBLISHED / "arxiv20_table2_base_and_zero_shot_f1.csv",
                ("trained_on", METHOD),
                lambda row, column: _single(row["trained_on"], column),
            ),
            PaperTable(
                "arxiv20-table3",
                "Transfer (Table 3, Tariq et al. 2020)",
                PUBLISHED / "arxiv20_table3_transfer_f1.csv",
                ("source", "target", METHOD),
                lambda row, column: _transfer(row["source"], row["target"], column),
            ),
        )
    }
)


def published_minutes() -> dict[tuple[str, str], float]:
    """Minutes an epoch by network and strategy (WWW '21, section 6.2.3)."""
    with (PUBLISHED / "www21_section6.2.3_cost.csv").open(newline="") as file:
        return {
            (row["method"], row["strategy"]): float(row["minutes_an_epoch"])
            for row in csv.DictReader(file)
        }
