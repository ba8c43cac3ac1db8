"""Figures that pages repeat are those of where they come from."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence

import pytest

from service.classifier.contract import Metric
from service.registry import BUILT_IN_MODEL
from tests.docs.pages import REPOSITORY

CARD = BUILT_IN_MODEL.with_suffix(".md").read_text()
ROW = re.compile(r"^\| ([^|]+) \| ([\d.]+) \| (?:([\d.]+) to ([\d.]+))? ?\| ([^|]+) \|$", re.M)
BENCHMARK = "clip_auc on the synthetic benchmark"


def card() -> dict[str, Metric]:
    """Each figure by its name; a test of the model holds the card against its metadata."""
    return {
        name: Metric(
            name=name,
            value=float(value),
            low=float(low) if low else None,
            high=float(high) if high else None,
            data=data,
        )
        for name, value, low, high, data in ROW.findall(CARD)
    }


def as_rate(metric: Metric) -> str:
    if metric.low is None or metric.high is None:
        return f"{metric.value:.3f}"
    return f"{metric.value:.3f} ({metric.low:.3f} to {metric.high:.3f})"


def as_percent(metric: Metric) -> str:
    value = f"{metric.value:.1%}".replace("%", " %")
    if metric.low is None or metric.high is None:
        return value
    return f"{value} ({100 * metric.low:.1f} to {100 * metric.high:.1f})"


@pytest.mark.parametrize("called", ["fake", "uncertain", "real"])
@pytest.mark.parametrize("whose", ["real faces", "forged faces"])
def test_error_rates_are_the_cards(whose: str, called: str) -> None:
    row = f"{whose} called {called}"
    own, other = card()[row], card()[f"{whose} of the benchmark called {called}"]
    page = (REPOSITORY / "docs/responsible-use.md").read_text()
    assert f"| {row} | {as_percent(own)} | {as_percent(other)} |" in page


def test_areas_under_curves_are_the_cards() -> None:
    figures = card()
    page = (REPOSITORY / "docs/responsible-use.md").read_text()
    own, other = as_rate(figures["clip_auc"]), as_rate(figures[BENCHMARK])
    assert f"| clip AUC (0.5 is chance) | {own} | {other} |" in page
    families, people = (
        sorted(each.value for name, each in figures.items() if name.startswith(start))
        for start in (f"{BENCHMARK} family ", f"{BENCHMARK} test person ")
    )
    assert f"goes from {families[-1]:.3f} (" in page
    assert f"to {families[0]:.3f} (" in page
    assert f"(clip AUC {people[0]:.3f} to {people[-1]:.3f} on the benchmark)" in page


@pytest.mark.parametrize(
    ("file", "rows"),
    [("fgsm", range(4)), ("pgd-df", [1]), ("pgd-f2f", [1])],
)
def test_what_attacks_leave_is_what_was_measured(file: str, rows: Sequence[int]) -> None:
    page = (REPOSITORY / "docs/responsible-use.md").read_text()
    text = (REPOSITORY / f"docs/results/attacks/{file}.csv").read_text()
    measured = list(csv.reader(text.splitlines()))[1:]
    kind = {"fgsm": "", "pgd-df": ", on *DF* alone", "pgd-f2f": ", on *F2F* alone"}[file]
    for attack, epsilon, recall, auc in (measured[row] for row in rows):
        shown = f"| {attack}{kind} | {epsilon} | {recall} | {auc} |"
        assert shown.replace("|  |", "| |") in page
