"""People a model has met before are named, where its run can tell."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from model_export.data.prepared import PreparedDataset
from model_export.data.video import Part
from model_export.evaluation.overlap import Met, met
from model_export.evaluation.report import Wanted, evaluate, write
from model_export.evaluation.subject import open_subject
from model_export.training.ancestry import ancestry
from model_export.training.sources import open_sources
from tests.unit.model_export.evaluation.made import grey, prepared, write_run


def dataset_of(folder: Path, people: dict[Part, list[str]]) -> PreparedDataset:
    """A forged and a real video of everybody."""
    return prepared(
        folder,
        [
            (f"{part}-{method}-{name}", name, method, part, grey(2, brightness))
            for part, names in people.items()
            for name in names
            for method, brightness in (("DF", 150), ("real", 90))
        ],
    )


def run_on(folder: Path, dataset: PreparedDataset, start: Path | None = None) -> Path:
    """A run's folder that says truly what was trained on."""
    write_run(folder, dataset, ["DF"], start=start)
    (record,) = ancestry(folder).records[:1]
    (folder / "run.json").write_text(open_sources(record.config, 0, 1).record.model_dump_json())
    return folder


@pytest.fixture
def learnt(tmp_path: Path) -> PreparedDataset:
    return dataset_of(tmp_path / "learnt", {"train": ["ann", "bob"], "validation": ["cleo"]})


def test_people_trained_on_are_named(tmp_path: Path, learnt: PreparedDataset) -> None:
    folder = run_on(tmp_path / "run", learnt)
    mixed = dataset_of(tmp_path / "mixed", {"test": ["bob", "cleo", "dan"]})
    done = evaluate(open_subject(folder, mixed, "cpu"), mixed, Wanted(draws=20))
    assert done.warnings == (
        "the model was trained on 1 of the 3 people measured here, going by their names "
        "(bob): these figures are not of new people",
        "the model had its epoch chosen by 1 of the 3 people measured here, going by "
        "their names (cleo): these figures are not of new people",
    )
    notes = done.tables["measures"].notes
    assert notes[:2] == tuple(f"Warning: {warning}." for warning in done.warnings)
    write(done, tmp_path / "out")
    page = (tmp_path / "out" / "measures.md").read_text()
    assert f"- warning: {done.warnings[0]}; {done.warnings[1]}\n" in page

    new = dataset_of(tmp_path / "new", {"test": ["dan", "eve"]})
    assert evaluate(open_subject(folder, new, "cpu"), new, Wanted(draws=20)).warnings == ()


def test_what_the_source_met_counts(tmp_path: Path, learnt: PreparedDataset) -> None:
    other = dataset_of(tmp_path / "other", {"train": ["fay"], "validation": ["gus"]})
    source = run_on(tmp_path / "source", learnt)
    moved = run_on(tmp_path / "moved", other, start=source)
    assert met(ancestry(moved).records) == Met(
        frozenset({"ann", "bob", "fay"}), frozenset({"cleo", "gus"})
    )


def test_a_dataset_that_is_gone_or_another_tells_nothing(
    tmp_path: Path, learnt: PreparedDataset
) -> None:
    records = ancestry(run_on(tmp_path / "run", learnt)).records
    assert met(records).trained == {"ann", "bob"}
    shutil.rmtree(learnt.folder)
    assert met(records) == Met()
    dataset_of(learnt.folder, {"train": ["eve", "dan"], "validation": ["cleo"]})
    assert met(records) == Met()


def test_of_many_a_few_are_named() -> None:
    (warning,) = Met(frozenset("abcdefgh")).warnings("abcdefgxyz")
    assert "7 of the 10 people measured here" in warning
    assert "(a, b, c, d, e and 2 more)" in warning
