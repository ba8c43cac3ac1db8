"""Figures by attacker and method, and their spread over models."""

from __future__ import annotations

import csv
import json

import pytest

from model_export.evaluation.findings import as_json, every_figure, find, over_models, summary
from model_export.evaluation.subject import Lineage
from service.classifier.contract import OperatingPoint
from service.measures.rendering import comma_separated, markdown
from tests.unit.model_export.evaluation.made import table_of

TABLE = table_of(
    ("a", "p1", "FS", [0.9] * 3),
    ("b", "p2", "DF", [0.8] * 2),
    ("c", "p3", "NT", [0.3]),
    ("d", "p4", "DFW", [0.1] * 4),
    ("e", "p5", "real", [0.2] * 2),
    ("f", "p6", "real", [0.4]),
)


def test_groups_by_attacker_and_method() -> None:
    found = find(TABLE, Lineage(("FS",)), ["clip"], draws=20)
    groups = {each.group: each for each in found}
    assert [(each.attacker, each.group) for each in found] == [
        ("", "all"),
        *(("in-domain", "in-domain"), ("in-domain", "FS")),
        *(("out-of-domain", group) for group in ("out-of-domain", "DF", "NT")),
        *(("open-domain", "open-domain"), ("open-domain", "DFW")),
    ]
    assert groups["all"].measures.counts.fake == 10
    assert groups["out-of-domain"].methods == ("DF", "NT")
    assert groups["out-of-domain"].measures.recall.value == pytest.approx(2 / 3)
    assert all(each.measures.counts.real == 3 for each in found)
    assert groups["DFW"].measures.auc.value == 0


def test_a_transfer_knows_its_source_and_its_targets() -> None:
    found = find(TABLE, Lineage(("FS",), ("NT", "DF")), ["clip"], draws=20)
    pooled = next(each for each in found if each.group == "in-domain")
    assert pooled.methods == ("DF", "FS", "NT")


def test_nobody_said_what_it_was_trained_on() -> None:
    found = find(TABLE, None, ["video"], draws=20)
    assert {each.attacker for each in found} == {"", "unknown"}
    assert [each.group for each in found] == ["all", "DF", "DFW", "FS", "NT"]


def test_the_operating_point_is_for_faces_and_videos() -> None:
    point = OperatingPoint(scale=1.0, offset=5.0)
    by_level = {
        each.measures.level: each.measures.recall.value
        for each in find(TABLE, None, point=point, draws=20)
        if each.group == "DFW"
    }
    assert by_level == {"clip": 0, "face": 1, "video": 1}


def test_the_summary_says_why_figures_are_missing() -> None:
    text = markdown(summary(find(TABLE.select(methods=["DFW"]), None, draws=20), "clip", "Title"))
    assert "**Title**" in text
    assert "| all | 0.000 | – | – | – | – | – | 4 | 0 |" in text
    assert "–: forged videos only: of one class only recall means something." in text


def test_nothing_is_left_out_of_the_files() -> None:
    found = find(TABLE, Lineage(("FS",)), draws=20)
    rows = list(
        csv.DictReader(comma_separated(every_figure(found, "all", "a synthetic set")).splitlines())
    )
    assert len(rows) == 3 * 8 * 9
    assert {row["data"] for row in rows} == {"a synthetic set"}
    recall = next(
        row
        for row in rows
        if (row["all: level"], row["group"], row["figure"]) == ("clip", "out-of-domain", "recall")
    )
    assert float(recall["value"]) == 2 / 3
    assert (recall["methods"], recall["fake"], recall["real"]) == ("DF+NT", "3", "3")
    told = json.loads(as_json(found, seed=3))
    assert told["seed"] == 3
    assert told["findings"][0]["measures"]["counts"]["fake"] == 10


def test_spread_over_models() -> None:
    other = TABLE.scored(1 - TABLE.score)
    both = [find(table, Lineage(("FS",)), ["clip"], draws=20) for table in (TABLE, other)]
    table = over_models([("one kind", found) for found in both], "clip", "Two")
    rows = {row[2].strip(): dict(zip(table.columns, row, strict=True)) for row in table.rows}
    assert rows["FS"]["recall"] == "0.500±0.707"
    assert rows["DFW"]["AUC"] == "0.500±0.707"
    assert {row["models"] for row in rows.values()} == {"one kind"}
    assert {row[1] for row in table.rows} == {"2"}


def test_models_of_different_kinds_are_not_averaged() -> None:
    single = find(TABLE, Lineage(("FS",)), ["clip"], draws=20)
    transfer = find(TABLE.scored(1 - TABLE.score), Lineage(("FS",), ("DFW",)), ["clip"], draws=20)
    models = [("single", single), ("transfer", transfer), ("single", single)]
    table = over_models(models, "clip", "Three")
    recalls = {(row[0], row[1], row[2].strip()): row[3] for row in table.rows}
    assert recalls["single", "2", "FS"] == "1.000±0.000"
    assert recalls["transfer", "1", "FS"] == "0.000"
    # A group is shown for each kind that has it, and for no other.
    assert ("single", "2", "open-domain") in recalls
    assert ("transfer", "1", "open-domain") not in recalls
