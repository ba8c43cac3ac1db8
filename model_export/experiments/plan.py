"""Which strategies the papers' tables need."""

from __future__ import annotations

from collections.abc import Sequence

from model_export.evaluation.methods import TRAINED
from model_export.experiments.strategy import Strategy, from_scratch, transfer


def in_domain() -> list[Strategy]:
    """A model for each method: table 3 of WWW '21 and, on other methods, its table 4."""
    return [from_scratch([method]) for method in TRAINED]


def merge_all() -> Strategy:
    """One model of all methods: table 5, table 6."""
    return from_scratch(TRAINED)


def transfer_from(source: str) -> Strategy:
    """One source to all other methods: from FS in table 5, from NT in table 6."""
    return transfer([source], [method for method in TRAINED if method != source])


def arxiv_transfers() -> list[Strategy]:
    """Table 3 of the 2020 paper, in its order."""
    rows: Sequence[tuple[str, str]] = (
        ("DF", "FS"),
        ("DF", "F2F"),
        ("FS", "DF"),
        ("FS", "F2F"),
        ("FS", "NT"),
        ("FS", "DFD"),
        ("FS DF", "F2F"),
        ("FS", "DF F2F"),
        ("FS", "DF F2F NT"),
        ("FS", "DF F2F NT DFD"),
    )
    return [transfer(sources.split(), targets.split()) for sources, targets in rows]


def tables(network: str) -> list[Strategy]:
    """What a network goes through for tables 3 to 6 of WWW '21, without the grid; CLRNet also for
    the transfers of the 2020 paper, which gives few of them for others."""
    core = [*in_domain(), merge_all(), transfer_from("FS"), transfer_from("NT")]
    more = arxiv_transfers() if network == "clrnet" else []
    return list(dict.fromkeys([*core, *more]))


def ordering(network: str) -> list[Strategy]:
    """What the ordering claim compares: the three models of table 6."""
    del network
    return [from_scratch(["FS"]), merge_all(), transfer_from("NT")]
