"""Score tables: columns, selection, files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from model_export.errors import EvaluationError
from model_export.evaluation.score_file import load_scores, save_scores
from service.measures.table import COLUMNS, ScoreTable, concatenate
from tests.unit.model_export.evaluation.made import table_of

TABLE = table_of(
    ("v1", "anna;ben", "DF", [0.1 + 0.2, 1 / 3]),
    ("v2", "anna", "real", [1e-17]),
    ("v3", "ben", "FS", [1.0]),
)


def test_a_file_holds_every_digit(tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    save_scores(TABLE, path)
    again = load_scores(path)
    for name in COLUMNS:
        ours, theirs = getattr(TABLE, name), getattr(again, name)
        assert ours.dtype.kind == theirs.dtype.kind
        assert np.array_equal(ours, theirs)
    assert [each.name for each in tmp_path.iterdir()] == ["scores.csv"]


def test_an_empty_table_is_a_table(tmp_path: Path) -> None:
    empty = ScoreTable.of([])
    save_scores(empty, tmp_path / "none.csv")
    assert len(load_scores(tmp_path / "none.csv")) == 0
    assert len(concatenate([])) == 0


def test_selection() -> None:
    both = concatenate([TABLE, table_of(("v9", "cleo", "DF", [0.5]), part="validation")])
    assert len(both) == 5
    assert both.select("validation").video.tolist() == ["v9"]
    assert both.select("test", ["DF", "real"]).video.tolist() == ["v1", "v1", "v2"]
    assert both.methods() == ["DF", "FS"]
    assert both.fake.tolist() == [True, True, False, True, True]
    assert both.persons()[0] == {"anna", "ben"}


def test_videos_of_nobody_known_are_people_of_their_own() -> None:
    table = table_of(("v1", "", "DF", [0.1]), ("v2", "", "real", [0.2]))
    assert len(frozenset().union(*table.persons())) == 2


def test_columns_of_different_lengths_are_no_table() -> None:
    with pytest.raises(ValueError, match="equally long"):
        replace(TABLE, score=TABLE.score[:2])


@pytest.mark.parametrize(
    ("row", "line"),
    [
        ("v,p,DF,fake,test,0,0,4,0.0,0.2,nan", 2),
        ("v,p,DF,fake,test,0,0,4,0.0,0.2,1.5", 2),
        ("v,p,DF,forged,test,0,0,4,0.0,0.2,0.5", 2),
        ("v,p,DF,fake,test,0,0,4,0.0,0.5", 2),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, row: str, line: int) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(",".join(COLUMNS) + "\n" + row + "\n")
    with pytest.raises(EvaluationError, match=rf"bad\.csv, line {line}:"):
        load_scores(path)


def test_another_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(EvaluationError, match="no table of scores"):
        load_scores(path)
    with pytest.raises(EvaluationError, match="cannot be read"):
        load_scores(tmp_path / "absent.csv")
