"""A whole suite on drawn clips, in seconds: nothing is learned, everything is run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from model_export.data.prepared import PreparedDataset
from model_export.errors import EvaluationError, TrainingError
from model_export.evaluation.table import ScoreTable
from model_export.experiments import grid, plan, suite
from model_export.experiments.budget import Budget, load_budget
from model_export.experiments.halves import balanced, halves
from model_export.experiments.laboratory import Laboratory
from model_export.experiments.strategy import from_scratch, transfer
from model_export.experiments.writing import write_outcome
from model_export.training.run_folder import read_record
from tests.unit.model_export.training.tiny import SIZE, tiny_dataset

METHODS = (*plan.KNOWN, plan.OPEN)

STAGE = {"name": "only", "schedule": {"epochs": 1, "batch": 8, "samples_per_epoch": 8}}
BUDGET = Budget.model_validate(
    {
        "name": "tiny",
        "size": SIZE,
        "few_shot": 2,
        "models": {
            "meso4": {
                "stages": [STAGE, {**STAGE, "name": "second"}],
                "transfer": [{**STAGE, "freeze": "first:6"}],
            }
        },
    }
)


@pytest.fixture(scope="module")
def laboratory(tmp_path_factory: pytest.TempPathFactory) -> Laboratory:
    folder = tmp_path_factory.mktemp("suite")
    dataset = PreparedDataset(tiny_dataset(folder / "clips", videos=3, methods=METHODS))
    return Laboratory(dataset, BUDGET, folder / "runs")


def test_a_transfer_trains_its_source_first_and_few_videos_then(laboratory: Laboratory) -> None:
    trained = laboratory.train("meso4", transfer(["FS", "NT"], ["DF"]), 0)
    config = read_record(trained.folder).config
    assert config.data.videos == {"DF": 2, "FS": 2, "NT": 2}
    assert config.freeze == "first:6"
    start = laboratory.train("meso4", from_scratch(["FS", "NT"]), 0)
    assert config.init.weights == start.folder
    second = read_record(start.folder).config
    assert second.data.videos == {"FS": None, "NT": None}
    assert second.init.weights == start.folder.parent / "only"
    assert [each.folder.name for each in start.stages] == ["only", "second"]


def test_nothing_is_trained_or_scored_twice(laboratory: Laboratory) -> None:
    strategy = from_scratch(["F2F"])
    laboratory.scores("meso4", strategy, 0)
    folder = laboratory.train("meso4", strategy, 0).folder
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    laboratory.scores("meso4", strategy, 0)
    assert before == {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    other = laboratory.train("meso4", strategy, 1).folder
    assert other != folder


def test_a_network_that_the_budget_does_not_know_is_refused(laboratory: Laboratory) -> None:
    with pytest.raises(TrainingError, match="says nothing of xception, only of meso4"):
        laboratory.train("xception", from_scratch(["FS"]), 0)


def test_a_suite_writes_every_table_and_says_what_came_out(
    laboratory: Laboratory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = [from_scratch(["FS", "NT"]), transfer(["NT"], ["FS"])]
    monkeypatch.setattr(suite, "strategies", lambda: few)
    jobs = [("meso4", strategy, 0) for strategy in plan.ordering("meso4")]
    told: list[str] = []
    outcome = suite.run(laboratory, jobs, ["meso4"], 0, told.append)

    assert len(told) == len(jobs) + len(few)
    tested = {(each.strategy, each.method_tested) for each in outcome.results}
    assert {("single", method) for method in METHODS} <= tested
    assert ("grid", plan.OPEN) in tested
    assert [each.stage for each in outcome.costs[:2]] == ["only", "second"]

    page = write_outcome(outcome, laboratory.dataset, BUDGET, "the command", tmp_path / "out")
    text = page.read_text()
    assert "the command" in text
    assert "over one seed, which proves little" in text
    assert "stand-ins alone" in text
    assert "Restricted grid" in text
    assert (tmp_path / "out" / "figures" / "open-domain.png").stat().st_size > 5000
    table = (tmp_path / "out" / "tables" / "www21-table6.md").read_text()
    assert "95.92" in table  # The published best of the grid.


def test_a_dataset_without_a_method_is_refused_before_anything_is_trained(
    tmp_path: Path,
) -> None:
    dataset = PreparedDataset(tiny_dataset(tmp_path / "clips", videos=1, methods=plan.KNOWN))
    with pytest.raises(EvaluationError, match="no videos of DFW in the part 'test'"):
        suite.check(dataset)


def test_halves_share_nobody_and_swaps_between_them_are_in_neither() -> None:
    names = ["ann", "bob", "cleo", "dan"]
    shown = [*names, "ann;bob", "cleo;dan", "ann;cleo", "ann;dan", "bob;cleo", "bob;dan"]
    rows = [
        (f"v{index}", people, "DFW", "fake", "test", 0, 0, 4, 0.0, 0.2, 0.5)
        for index, people in enumerate(shown)
    ]
    first, second = halves(ScoreTable.of(rows))
    sides = [frozenset().union(*half.persons()) for half in (first, second)]
    assert not sides[0] & sides[1]
    assert sides[0] | sides[1] == set(names)
    assert len(first) == len(second) == 3


def test_the_grid_chooses_on_one_half_and_reports_the_other() -> None:
    """A model that is right about the first half's people and wrong about the others'."""
    names = [f"person {index}" for index in range(8)]
    rows = [
        (f"{label}-{name}", name, method, label, "test", 0, 0, 4, 0.0, 0.2, 0.5)
        for name in names
        for label, method in (("fake", plan.OPEN), ("real", "real"))
    ]
    table = ScoreTable.of(rows)
    first = halves(table)[0].people.tolist()
    right = [(row[3] == "fake") == (row[1] in first) for row in rows]
    score = suite.open_domain_score(table.scored(np.where(right, 0.9, 0.1)))
    assert score.chosen_on == 1.0
    assert score.reported_on == 0.0
    assert score.whole == pytest.approx(0.5)
    assert score.videos == (4, 4, 8)


def test_what_is_too_many_of_one_kind_is_left_out_evenly() -> None:
    rows = [
        (f"v{index}", "ann", "DFW", "fake" if index < 3 else "real", "test", 0, 0, 4, 0.0, 0.2, 0.5)
        for index in range(10)
    ]
    kept = balanced(ScoreTable.of(rows)).video.tolist()
    assert kept == ["v0", "v1", "v2", "v3", "v6", "v9"]


def test_the_budget_in_the_package_holds_five_networks() -> None:
    budget = load_budget("small")
    assert "clrnet" in budget.models
    assert len(budget.models) >= 5
    with pytest.raises(TrainingError, match=r"neither a budget \(.*small.*\)"):
        load_budget("enormous")


def test_grid_methods_are_those_of_the_plan() -> None:
    assert {*grid.EXPRESSION, *grid.IDENTITY} == set(plan.KNOWN)
