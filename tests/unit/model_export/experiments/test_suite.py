"""A whole suite on drawn clips, in seconds: nothing is learned, everything is run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from model_export.data.prepared import PreparedDataset
from model_export.errors import EvaluationError, TrainingError
from model_export.evaluation.methods import EXPRESSION, IDENTITY, KNOWN, OPEN, TRAINED
from model_export.evaluation.results import load_results
from model_export.experiments import plan, suite
from model_export.experiments.budget import Budget, load_budget
from model_export.experiments.halves import balanced, halves
from model_export.experiments.laboratory import Laboratory
from model_export.experiments.strategy import from_scratch, transfer
from model_export.experiments.writing import write_outcome
from model_export.networks import NAMES, NETWORKS
from model_export.training.augmentation import PRESETS
from model_export.training.freezing import freeze
from model_export.training.run_folder import read_record
from service.measures.table import ScoreTable
from tests.unit.model_export.training.tiny import SIZE, tiny_dataset

METHODS = (*TRAINED, OPEN)

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
    assert trained.source == start
    assert start.source is None


def test_nothing_is_trained_or_scored_twice(laboratory: Laboratory) -> None:
    strategy = from_scratch(["F2F"])
    trained = laboratory.train("meso4", strategy, 0)
    first = laboratory.scores(trained)
    before = {p: p.stat().st_mtime_ns for p in trained.folder.rglob("*") if p.is_file()}
    again = laboratory.scores(laboratory.train("meso4", strategy, 0))
    assert again.score.tolist() == first.score.tolist()
    assert before == {p: p.stat().st_mtime_ns for p in trained.folder.rglob("*") if p.is_file()}
    other = laboratory.train("meso4", strategy, 1)
    assert other.folder != trained.folder
    assert laboratory.scores(other).score.tolist() != first.score.tolist()


def test_a_network_that_the_budget_does_not_know_is_refused(laboratory: Laboratory) -> None:
    with pytest.raises(TrainingError, match="says nothing of xception, only of meso4"):
        laboratory.train("xception", from_scratch(["FS"]), 0)


@pytest.fixture(scope="module")
def outcome(laboratory: Laboratory) -> tuple[suite.Outcome, list[str]]:
    """Of the models of table 6 and a grid of two, and what was told on the way."""
    few = [from_scratch(["FS", "NT"]), transfer(["NT"], ["FS"])]
    told: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(suite, "strategies", lambda: few)
        jobs = [("meso4", strategy, 0) for strategy in plan.ordering("meso4")]
        return suite.run(laboratory, jobs, ["meso4"], 0, told.append), told


REST = ("DF", "DFD", "F2F", "FS")


def test_a_suite_does_every_job_and_then_the_grid(
    outcome: tuple[suite.Outcome, list[str]],
) -> None:
    found, told = outcome
    assert told == [
        "1 of 3: meso4, single FS, seed 0",
        "2 of 3: meso4, merge DF+DFD+F2F+FS+NT, seed 0",
        "3 of 3: meso4, transfer NT->DF+DFD+F2F+FS, seed 0",
        "grid, 1 of 2: merge FS+NT",
        "grid, 2 of 2: transfer NT->FS",
    ]
    tested = [(each.strategy, each.method_tested) for each in found.results]
    kinds = ("single", "merge", "transfer")
    assert sorted(tested) == sorted(
        [*((kind, method) for kind in kinds for method in METHODS), ("grid", OPEN)]
    )
    for each in found.results:
        if each.strategy != "grid":  # Three clips of each of three videos, against as many real.
            assert (each.measures.counts.fake, each.measures.counts.real) == (9, 9)


def test_the_grids_cell_is_of_the_half_that_its_choice_was_not_made_on(
    outcome: tuple[suite.Outcome, list[str]],
) -> None:
    found, _ = outcome
    grid = found.grids["meso4"]
    (cell,) = [each for each in found.results if each.strategy == "grid"]
    assert cell.measures.f1.value == grid.chosen.score.reported_on
    counts = cell.measures.counts
    assert counts.fake == counts.real > 0
    assert counts.fake_videos == grid.chosen.score.videos[1] < 3
    assert (cell.trained_on, cell.transferred_to) == (
        *(grid.chosen.strategy.sources, grid.chosen.strategy.targets),
    )


def test_every_training_is_paid_for_once(outcome: tuple[suite.Outcome, list[str]]) -> None:
    """Sources of transfers and the grid's candidates too, whoever needed them first."""
    found, _ = outcome
    paid = [(each.trained_on, each.transferred_to, each.stage) for each in found.costs]
    scratch = [("FS",), tuple(sorted(TRAINED)), ("NT",), ("FS", "NT")]
    assert paid == [
        *((scratch[0], (), stage) for stage in ("only", "second")),
        *((scratch[1], (), stage) for stage in ("only", "second")),
        *((scratch[2], (), stage) for stage in ("only", "second")),
        (("NT",), REST, ""),
        *((scratch[3], (), stage) for stage in ("only", "second")),
        (("NT",), ("FS",), ""),
    ]
    assert all(each.epochs == 1 and each.samples_per_epoch == 8 for each in found.costs)
    assert all(each.seconds_per_epoch > 0 for each in found.costs)


def test_a_suite_writes_what_came_out(
    outcome: tuple[suite.Outcome, list[str]], laboratory: Laboratory, tmp_path: Path
) -> None:
    found, _ = outcome
    page = write_outcome(found, laboratory.dataset, BUDGET, "the command", tmp_path / "out")
    text, tables = page.read_text(), page.parent / "tables"
    assert "```\nthe command\n```" in text
    assert "over one seed, which proves little" in text
    assert "stand-ins alone" in text
    grid = found.grids["meso4"]
    assert f"Chosen on one half of DFW's people: {grid.chosen.strategy}, F1" in text
    assert f"| NT | FS | transfer | {_percent(grid.candidates[1].score.chosen_on)} |" in text
    assert load_results(page.parent / "results.json") == list(found.results)

    f1 = {(each.strategy, each.method_tested): each.measures.f1.value for each in found.results}
    row = _ours(tables / "www21-table6.md", "MesoNet, ours")
    assert row == [
        f"{100 * f1[kind, OPEN]:.2f}" for kind in ("single", "merge", "transfer", "grid")
    ]
    row = _ours(tables / "www21-table5-merge.md", "MesoNet, ours")
    wanted = [f1["merge", method] for method in ("FS", "DF", "DFD", "F2F", "NT")]
    assert row == [f"{100 * value:.2f}" for value in [*wanted, sum(wanted) / 5]]
    cost = (tables / "www21-cost.md").read_text()
    assert cost.count("| meso4 | transfer |") == 2
    assert "| meso4 | all | 6 trainings |" in cost
    for picture in ("meso4", "open-domain"):
        drawn = cv2.imread(str(page.parent / "figures" / f"{picture}.png"))
        assert drawn is not None
        assert drawn.std() > 20


def _ours(table: Path, name: str) -> list[str]:
    """The cells of our row."""
    (line,) = [line for line in table.read_text().splitlines() if line.startswith(f"| {name} |")]
    return [cell.strip() for cell in line.strip("|").split("|")][1:]


def _percent(value: float | None) -> str:
    assert value is not None
    return f"{100 * value:.1f}"


def test_a_dataset_without_a_method_is_refused_before_anything_is_trained(
    tmp_path: Path,
) -> None:
    dataset = PreparedDataset(tiny_dataset(tmp_path / "clips", videos=1, methods=TRAINED))
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
        for label, method in (("fake", OPEN), ("real", "real"))
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


def test_budgets_in_the_package_hold_what_they_say() -> None:
    assert set(load_budget("small").models) == {
        *("clrnet", "mesoinception4", "meso4", "shallownetv3", "forensic_transfer"),
    }
    paper = load_budget("paper")
    assert set(paper.models) == set(NAMES)
    assert (paper.size, paper.few_shot) == (240, 10)
    with pytest.raises(TrainingError, match=r"neither a budget \(.*paper, small.*\)"):
        load_budget("enormous")


@pytest.mark.parametrize("name", ["paper", "small"])
def test_every_stage_of_a_packaged_budget_can_be_trained(name: str) -> None:
    budget = load_budget(name)
    for architecture, model in budget.models.items():
        budget.check(architecture)
        for stage in model.transfer:
            with torch.device("meta"):
                network = NETWORKS[architecture].detector(**_built(budget, architecture))
            assert freeze(network, stage.freeze).trained > 0
        # What is scored is there: the benchmark's clips are at least as long.
        lengths = [stage.length or network.clip_length for stage in model.stages]
        assert max(lengths) <= budget.benchmark.length


def _built(budget: Budget, architecture: str) -> dict[str, Any]:
    """What a network is built with."""
    options = budget.model(architecture).options
    return NETWORKS[architecture].check((budget.size, budget.size), options)


def test_the_paper_budget_trains_as_the_papers_say() -> None:
    for architecture, model in load_budget("paper").models.items():
        (stage,), (moved,) = model.stages, model.transfer
        assert (stage.schedule.epochs, moved.schedule.epochs) == (100, 150)
        for each in (stage, moved):
            assert (each.optimiser.name, each.optimiser.rate) == ("adam", 5e-5)
            assert each.augmentation == PRESETS["papers"]
            assert each.clips_per_video == 16
        assert model.options == {}
        if architecture != "forensic_transfer":
            assert moved.freeze == "first_half"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"length": 3}, "stage only: meso4: a single-frame model takes clips of 1 frame, not 3"),
        ({"freeze": "half"}, "stage only: freeze: String should match"),
        ({"mask_weight": 1.0}, "stage only: the budget: .*mask_weight needs data.twins"),
        ({"inflate": True}, "stage only: init: .*|stage only: .*inflate needs weights"),
    ],
)
def test_a_stage_that_cannot_be_trained_is_refused_before_anything_is(
    changes: dict[str, Any], message: str
) -> None:
    values = BUDGET.model_dump()
    stages = [STAGE | changes, {**STAGE, "name": "second"}]
    values["models"]["meso4"]["stages"] = stages
    budget = Budget.model_validate(values)
    with pytest.raises(TrainingError, match=f"the budget 'tiny', meso4, {message}"):
        budget.check("meso4")
    BUDGET.check("meso4")


def test_methods_of_the_grid_are_those_that_are_trained_on() -> None:
    assert sorted((*EXPRESSION, *IDENTITY)) == sorted(TRAINED)
    assert set(KNOWN) - set(TRAINED) == {"DFDC"}
    assert OPEN not in KNOWN
