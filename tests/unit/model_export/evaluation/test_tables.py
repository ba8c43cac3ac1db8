"""The papers' tables: printed figures untouched, ours beside them, gaps marked."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from model_export.errors import EvaluationError
from model_export.evaluation.costs import cost_table
from model_export.evaluation.papers import LABELS, METHOD, TABLES
from model_export.evaluation.rendering import write_table
from model_export.evaluation.results import Cost, Result, load_results, save_results
from model_export.evaluation.tables import comparison, write_tables
from model_export.networks import NAMES
from service.measures.metrics import Counts, Estimate, Measures
from service.measures.rendering import Table, comma_separated, latex, markdown
from tests.shared import SHARED, needs_shared

REAL_DATA = "FaceForensics++, c23"
SYNTHETIC = "a synthetic benchmark: real faces, forged with simple image processing"
MERGED = ("DF", "DFD", "F2F", "FS", "NT")


def _measures(f1: float | None, recall: float = 0.5) -> Measures:
    nothing = Estimate(None, reason="not looked at")
    value = nothing if f1 is None else Estimate(f1, f1 - 0.1, f1 + 0.1)
    return Measures(
        level="clip",
        threshold=0.5,
        precision=nothing,
        recall=Estimate(recall),
        specificity=nothing,
        f1=value,
        balanced_accuracy=nothing,
        auc=nothing,
        eer=nothing,
        ap=nothing,
        ece=nothing,
        counts=Counts(4, 0 if f1 is None else 4, 2, 2, 4, "4 people"),
    )


def _result(
    tested: str,
    f1: float | None,
    *,
    trained_on: tuple[str, ...] = ("F2F",),
    to: tuple[str, ...] = (),
    strategy: str = "single",
    architecture: str = "clrnet",
    seed: int = 0,
    recall: float = 0.5,
) -> Result:
    return Result(architecture, strategy, trained_on, to, tested, seed, _measures(f1, recall))


def _row(table: Table, *first: str) -> dict[str, str]:
    found = [row for row in table.rows if row[: len(first)] == first]
    assert len(found) == 1
    return dict(zip(table.columns, found[0], strict=True))


@pytest.mark.parametrize("name", TABLES)
def test_every_printed_figure_stands_as_printed(name: str) -> None:
    paper = TABLES[name]
    with paper.file.open(newline="") as file:
        _, *lines = list(csv.reader(file))
    published = [row for row in comparison(name, [], REAL_DATA).rows if _label(row, name)]
    for line, row in zip(lines, published, strict=True):
        keys = len(paper.keys)
        assert row[: keys - 1] == tuple(line[: keys - 1])
        assert row[keys - 1] == f"{line[keys - 1]}, published"
        assert row[keys:] == tuple(line[keys:])


def _label(row: tuple[str, ...], name: str) -> bool:
    return row[len(TABLES[name].keys) - 1].endswith(", published")


@needs_shared("published")
@pytest.mark.parametrize("name", TABLES)
def test_the_figures_are_those_that_were_handed_over(name: str) -> None:
    file = TABLES[name].file
    assert file.read_bytes() == (SHARED / "published" / file.name).read_bytes()


@pytest.mark.parametrize(
    ("name", "first", "figures"),
    [
        ("www21-table3", (), "99.20±0.1 99.50±0.2 96.00±0.1 96.76±0.2 99.20±0.1 99.50±0.1 98.61"),
        ("www21-table4", (), "99.20±0.1 64.18±0.1 52.32±0.1 56.75±0.2 50.60±0.1 50.59±0.1"),
        ("www21-table5-merge", (), "87.20±0.8 85.72±0.1 86.52±0.1 89.20±0.1 89.28±0.1 87.58"),
        ("www21-table5-transfer", (), "98.70±0.2 97.23±0.3 97.13±0.1 97.50±0.2 97.30±0.1 97.57"),
        ("www21-table6", (), "50.65±0.9 84.95±0.2 93.86±0.2 95.92"),
        ("arxiv20-table2", ("NT",), "50.12 49.93 49.80 99.50 50.00"),
        ("arxiv20-table3", ("FS", "DF+F2F+NT+DFD"), "91.23 93.70 87.50 91.30 87.13"),
    ],
)
def test_clrnet_as_in_the_papers(name: str, first: tuple[str, ...], figures: str) -> None:
    row = _row(comparison(name, [], REAL_DATA), *first, "CLRNet, published")
    assert list(row.values())[len(first) + 1 :] == figures.split()


@pytest.mark.parametrize("name", TABLES)
def test_what_was_not_run_is_marked(name: str) -> None:
    table = comparison(name, [], REAL_DATA)
    keys = len(TABLES[name].keys)
    ours = [row for row in table.rows if row[keys - 1].endswith(", ours")]
    assert len(ours) == len(table.rows) / 2
    assert all(set(row[keys:]) == {"–"} for row in ours)


def test_mean_and_spread_over_seeds_stand_in_the_right_cell() -> None:
    results = [
        _result("F2F", 0.90, seed=0),
        _result("F2F", 0.94, seed=1),
        _result("DF", 0.5123, seed=0),
        _result("DF", 0.99, trained_on=("DF",)),
        _result("FS", 0.99, strategy="transfer", to=("FS",)),
    ]
    ours = _row(comparison("www21-table4", results, REAL_DATA), "CLRNet, ours")
    assert ours["F2F"] == "92.00±2.83"
    assert ours["DF"] == "51.23"
    assert {ours[method] for method in ("FS", "DFD", "NT", "DFW")} == {"–"}


def test_of_forged_videos_alone_the_recall_is_shown_and_marked() -> None:
    table = comparison("www21-table4", [_result("DFW", None, recall=0.125)], REAL_DATA)
    assert _row(table, "CLRNet, ours")["DFW"] == "R 12.50"
    assert any("R: recall" in note for note in table.notes)


def test_merge_and_transfer_tell_their_methods_apart() -> None:
    merged = _result("DF", 0.8, trained_on=MERGED, strategy="merge")
    partly = _result("FS", 0.7, trained_on=MERGED[:4], strategy="merge")
    targets = ("NT", "DF", "F2F", "DFD")
    moved = _result("DF", 0.9, trained_on=("FS",), to=targets, strategy="transfer")
    results = [merged, partly, moved]
    merge = _row(comparison("www21-table5-merge", results, REAL_DATA), "CLRNet, ours")
    assert (merge["DF"], merge["FS"]) == ("80.00", "–")
    transfer = _row(comparison("www21-table5-transfer", results, REAL_DATA), "CLRNet, ours")
    assert (transfer["DF"], transfer["FS"]) == ("90.00", "–")


def test_the_open_domain_by_strategy() -> None:
    targets = ("DF", "FS", "DFD", "F2F")
    results = [
        _result("DFW", 0.51, trained_on=("FS",)),
        _result("DFW", 0.61, trained_on=MERGED, strategy="merge"),
        _result("DFW", 0.71, trained_on=("NT",), to=targets, strategy="transfer"),
        _result("DFW", 0.81, trained_on=("NT", "F2F"), to=("FS",), strategy="grid"),
    ]
    ours = _row(comparison("www21-table6", results, REAL_DATA), "CLRNet, ours")
    assert list(ours.values())[1:] == ["51.00", "61.00", "71.00", "81.00"]


def test_the_average_needs_every_cell_of_a_seed() -> None:
    methods = ("DF", "FS", "DFD", "DFDC", "F2F", "NT")
    whole = [_result(m, 0.9, trained_on=(m,), seed=1) for m in methods]
    table = comparison("www21-table3", [*whole, _result("DF", 0.1, trained_on=("DF",))], REAL_DATA)
    assert _row(table, "CLRNet, ours")["average as printed"] == "90.00"
    table = comparison("www21-table3", whole[1:], REAL_DATA)
    assert _row(table, "CLRNet, ours")["average as printed"] == "–"


def test_networks_of_one_printed_name_and_of_none() -> None:
    results = [
        _result("DF", 0.1, architecture="meso4"),
        _result("DF", 0.2, architecture="mesoinception4"),
        _result("DF", 0.3, architecture="something_new"),
    ]
    table = comparison("www21-table4", results, REAL_DATA)
    assert _row(table, "MesoNet (meso4), ours")["DF"] == "10.00"
    assert _row(table, "MesoNet (mesoinception4), ours")["DF"] == "20.00"
    assert _row(table, "something_new, ours")["DF"] == "30.00"


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("render", [markdown, comma_separated, latex])
def test_stand_ins_are_called_stand_ins_everywhere(name: str, render: object) -> None:
    assert callable(render)
    results = [_result("DF", 0.5)]
    text = render(comparison(name, results, SYNTHETIC))
    assert "ours on synthetic stand-ins" in text
    ours = [line for line in text.splitlines() if ", ours" in line]
    assert ours
    assert all("synthetic stand-ins" in line for line in ours)
    assert "synthetic stand-ins" not in render(comparison(name, results, REAL_DATA))


def test_balanced_accuracy_can_be_asked_for() -> None:
    told = _result("DF", 0.5)
    told = replace(told, measures=replace(told.measures, balanced_accuracy=Estimate(0.625)))
    table = comparison("www21-table4", [told], SYNTHETIC, figure="balanced_accuracy")
    assert table.title.endswith("WWW '21), balanced accuracy: ours on synthetic stand-ins")
    assert _row(table, "CLRNet, ours on synthetic stand-ins")["DF"] == "62.50"
    assert any("Ours: balanced accuracy (50 where" in note for note in table.notes)


def test_what_the_grids_cell_is_of_stands_under_its_table_alone() -> None:
    remarks = {name: comparison(name, [], REAL_DATA).notes[2:] for name in TABLES}
    (remark,) = remarks.pop("www21-table6")
    assert "half of DFW's people on which the choice was not made" in remark
    assert not any(remarks.values())


def test_results_of_several_levels_are_refused() -> None:
    clips = _result("DF", 0.5)
    videos = replace(clips, measures=replace(clips.measures, level="video"))
    with pytest.raises(ValueError, match="one level"):
        comparison("www21-table4", [clips, videos], REAL_DATA)


def _cost(
    trained_on: tuple[str, ...], to: tuple[str, ...] = (), seed: int = 0, **changes: Any
) -> Cost:
    """Ten epochs of a minute each."""
    strategy = "transfer" if to else "merge" if len(trained_on) > 1 else "single"
    given = {"architecture": "clrnet", "seconds_per_epoch": 60.0, "epochs": 10, "stage": ""}
    return Cost(
        strategy=strategy,
        trained_on=trained_on,
        transferred_to=to,
        seed=seed,
        samples_per_epoch=1000,
        **(given | changes),
    )


def test_a_transfer_costs_what_its_source_did_as_well() -> None:
    costs = [
        *(_cost(MERGED, seed=seed, seconds_per_epoch=60.0 + 20 * seed) for seed in (0, 1)),
        _cost(("FS",), stage="frames"),
        _cost(("FS",), stage="clips", seconds_per_epoch=120.0),
        _cost(("FS",), ("DF",), epochs=5),
        _cost(("FS",), ("DF",), epochs=5),  # Told twice: by a job and by the grid.
        _cost(("NT",), ("DF",), architecture="meso4"),
    ]
    table = cost_table(costs, SYNTHETIC)
    each = ("1000", "60.0")
    assert table.rows == (
        ("CLRNet, published", "merge", "", "", "", "2016", "", "", ""),
        ("CLRNet, published", "transfer", "", "", "", "498", "", "", ""),
        (
            *("clrnet", "merge", "DF+DFD+F2F+FS+NT", ""),
            *("1000±0", "70.0±14.1", "10±0", "11.7±2.4", "11.7±2.4"),
        ),
        ("clrnet", "single", "FS", "frames", *each, "10", "10.0", ""),
        ("clrnet", "single", "FS", "clips", "1000", "120.0", "10", "20.0", "30.0"),
        ("clrnet", "transfer", "FS->DF", "", *each, "5", "5.0", "35.0"),
        ("clrnet", "all", "3 trainings", "", "", "", "", "58.3", ""),
        ("meso4", "transfer", "NT->DF", "", *each, "10", "10.0", "–"),
        ("meso4", "all", "1 trainings", "", "", "", "", "10.0", ""),
    )
    assert "synthetic stand-ins" in table.title


def test_markdown_csv_and_latex(tmp_path: Path) -> None:
    table = Table("A & B", ("method", "x_1"), (("a|b", "99.2±0.1"), ("50 %", "–")), ("A->B.",))
    assert markdown(table).splitlines() == [
        *("**A & B**", "", "| method | x_1 |", "| --- | --- |", r"| a\|b | 99.2±0.1 |"),
        *("| 50 % | – |", "", "A->B."),
    ]
    read = list(csv.reader(comma_separated(table).splitlines()))
    assert read == [
        *(["A & B: method", "x_1"], ["a|b", "99.2±0.1"], ["50 %", "–"], ["A->B."]),
    ]
    text = latex(table)
    assert r"\caption{A \& B. A-\textgreater{}B.}" in text
    assert r"a|b & 99.2$\pm$0.1 \\" in text
    assert r"50 \% & -- \\" in text
    assert r"method & x\_1 \\" in text
    paths = write_table(table, tmp_path / "new", "t")
    assert sorted(path.name for path in paths) == ["t.csv", "t.md", "t.tex"]
    (tmp_path / "file").write_text("")
    with pytest.raises(EvaluationError, match="cannot be written"):
        write_table(table, tmp_path / "file", "t")


def test_all_tables_are_written(tmp_path: Path) -> None:
    paths = write_tables([_result("DF", 0.5)], [], REAL_DATA, tmp_path)
    assert len(paths) == 3 * (2 * len(TABLES) + 1)
    assert "balanced accuracy" in (tmp_path / "www21-table6-balanced-accuracy.md").read_text()
    assert "51.12±0.1" in (tmp_path / "www21-table4.tex").read_text().replace(r"$\pm$", "±")


def test_results_go_through_their_file(tmp_path: Path) -> None:
    results = [_result("DF", 0.5), _result("DFW", None, trained_on=MERGED, strategy="merge")]
    save_results(results, tmp_path / "results.json")
    assert load_results(tmp_path / "results.json") == results
    (tmp_path / "results.json").write_text("[{}]")
    with pytest.raises(EvaluationError, match=r"results\.json holds no results"):
        load_results(tmp_path / "results.json")


def test_every_network_has_a_printed_name() -> None:
    assert set(NAMES) == set(LABELS)
    printed = {row[METHOD].partition(" (")[0] for paper in TABLES.values() for row in paper.rows()}
    assert printed == set(LABELS.values())
