"""Table 6 of "One Detector to Rule Them All" (Tariq et al., WWW '21): attacks from the internet.

F1 of forged videos in per cent, as printed, by network and strategy of training.
"""

from __future__ import annotations

import csv
from pathlib import Path

from service.evaluation.result import Group, Result
from service.measures.metrics import Estimate
from service.measures.rendering import MISSING, Table

FILE = Path(__file__).parent / "published" / "www21_table6_open_domain_DFW_f1.csv"
_DATASET = "DFW"


def table_six(result: Result) -> Table:
    """The paper's figures, and under them ours of the dataset ``DFW``, or of everything where
    nothing is named so."""
    with FILE.open(newline="") as file:
        header, *published = csv.reader(file)
    group = _group(result)
    video = next(each for each in group.measures if each.level == "video")
    model = ", ".join(result.models) or MISSING
    ours = (model, *[MISSING] * (len(header) - 1))
    return Table(
        title="F1 (%) on deepfakes in the wild, beside Table 6 of WWW '21",
        columns=(*header, "this evaluation"),
        rows=(*((*row, MISSING) for row in published), (*ours, _percent(video.f1))),
        notes=(
            f"Ours: {group.dataset or 'all datasets'}, {video.counts.fake} forged and "
            f"{video.counts.real} real videos; recall {_percent(video.recall)}. The paper's 200 "
            "videos are not the same, nor are its real ones: the rows show an order of size.",
        ),
    )


def _group(result: Result) -> Group:
    return next((each for each in result.groups if each.dataset == _DATASET), result.groups[0])


def _percent(estimate: Estimate) -> str:
    if estimate.value is None:
        return f"{MISSING} ({estimate.reason})"
    text = f"{100 * estimate.value:.2f}"
    if estimate.low is None or estimate.high is None:
        return text
    return f"{text} ({100 * estimate.low:.2f} to {100 * estimate.high:.2f})"
