"""From rows to figures."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest
from matplotlib.collections import PolyCollection
from sklearn.metrics import f1_score, roc_auc_score

from service.evaluation.papers import FILE, table_six
from service.evaluation.result import Group, Result, result_of
from service.evaluation.rows import ItemRow
from service.evaluation.tally import Tally
from service.evaluation.timelines import timelines
from service.evaluation.writing import write_report
from service.measures.metrics import NO_REAL, Measures
from tests.unit.evaluation.made import lacking, scored

ROWS = [
    scored("a", "fake", [0.9, 0.7], [0.1], dataset="DFW", group="p"),
    scored("b", "fake", [0.2, 0.4], dataset="DFW", group="q"),
    scored("c", "real", [0.6], dataset="FF", group="r"),
    scored("d", "real", [0.1, 0.3], dataset="FF", group="p"),
    scored("e", "fake", [0.8], dataset="FF", group="s"),
    lacking("f", "fake", dataset="DFW"),
    lacking("g", "real", "origin_failed", dataset="FF"),
]


def tallied(rows: list[ItemRow]) -> Tally:
    tally = Tally()
    for row in rows:
        tally.add(row)
    return tally


def at(group: Group, level: str) -> Measures:
    return next(each for each in group.measures if each.level == level)


def test_the_figures_are_scikit_learns_at_every_level() -> None:
    overall = result_of(tallied(ROWS)).groups[0]
    fake, score = [1, 1, 0, 0, 1], [0.8, 0.3, 0.6, 0.2, 0.8]
    video = at(overall, "video")
    assert video.auc.value == pytest.approx(roc_auc_score(fake, score))
    assert video.f1.value == pytest.approx(f1_score(fake, [each >= 0.5 for each in score]))
    face = at(overall, "face")
    assert face.auc.value == pytest.approx(roc_auc_score([*fake, 1], [*score, 0.1]))
    clip = at(overall, "clip")
    clips = ([1] * 6 + [0] * 3, [0.9, 0.7, 0.1, 0.2, 0.4, 0.8, 0.6, 0.1, 0.3])
    assert clip.auc.value == pytest.approx(roc_auc_score(*clips))
    assert (clip.counts.fake, clip.counts.real) == (6, 3)


def test_coverage_counts_what_has_no_score() -> None:
    result = result_of(tallied(ROWS))
    overall, dfw, ff = (group.coverage for group in result.groups)
    assert (overall.items, overall.ok, overall.no_face, overall.errors) == (7, 5, 1, 1)
    assert overall.unscored == {"origin_failed": 1}
    assert (dfw.fake, dfw.called_fake) == (3, 1)
    # The real one that is called fake is no forged one that was found.
    assert (overall.fake, overall.called_fake) == (4, 2)
    assert (ff.items, ff.real, ff.errors) == (4, 3, 1)
    assert [group.dataset for group in result.groups] == [None, "DFW", "FF"]


def test_one_class_gives_recall_and_the_reason_why_no_auc() -> None:
    dfw = next(each for each in result_of(tallied(ROWS)).groups if each.dataset == "DFW")
    found = at(dfw, "video")
    assert found.recall.value == 0.5
    assert (found.auc.value, found.auc.reason) == (None, NO_REAL)
    assert NO_REAL in result_of(tallied(ROWS[:2])).model_dump_json()


def test_the_order_of_rows_does_not_matter() -> None:
    # Sums of many such scores differ in their last digits from order to order.
    drawn = random.Random(1)
    rows = [
        scored(f"v{number}", drawn.choice(["real", "fake"]), [drawn.random() for _ in range(9)])
        for number in range(50)
    ]
    mixed = drawn.sample(rows, len(rows))
    assert mixed != rows
    assert result_of(tallied(mixed)).model_dump_json() == result_of(tallied(rows)).model_dump_json()


@pytest.mark.parametrize("rows", [[], [lacking("f", "fake")], [lacking("g", "real", "busy")]])
def test_nothing_scored_is_a_result_too(rows: list[ItemRow], tmp_path: Path) -> None:
    tally = tallied(rows)
    result = result_of(tally)
    assert at(result.groups[0], "video").auc.value is None
    write_report(tally, result, tmp_path)
    assert "nothing was scored" in (tmp_path / "report.md").read_text() or rows


def test_two_models_are_named() -> None:
    rows = [ROWS[0], scored("z", "real", [0.2], sha256="b" * 64)]
    assert "The model changed" in result_of(tallied(rows)).notes[0]
    assert result_of(tallied(ROWS)).notes == ("Calibration: by hand.",)


def test_clips_beyond_the_bound_are_left_out_and_that_is_said() -> None:
    tally = Tally(3)
    for row in ROWS:
        tally.add(row)
    assert len(tally.table("clip")) == 3
    assert len(tally.table("face")) == 6
    assert "first 3 clips" in result_of(tally).notes[-1]


def test_a_model_that_does_not_decide_is_said() -> None:
    undecided = {"verdict": "uncertain", "abstain": "It is a test.", "calibration": "uncalibrated"}
    result = result_of(tallied([row.model_copy(update=undecided) for row in ROWS[:4]]))
    notes = " ".join(result.notes)
    assert "never decides: It is a test." in notes
    assert "not calibrated" in notes
    assert "uncertain band: 4." in notes
    assert result.groups[0].coverage.called_fake == 0


def test_the_one_dataset_of_a_list_keeps_its_name() -> None:
    assert [each.dataset for each in result_of(tallied(ROWS[:2])).groups] == ["DFW"]
    assert [each.dataset for each in result_of(tallied([scored("x", "real", [0.1])])).groups] == [
        None
    ]


@pytest.mark.parametrize("name", ["real", "fake", ""])
def test_names_of_datasets_mean_nothing(name: str) -> None:
    rows = [scored("a", "fake", [0.9], dataset=name), scored("b", "real", [0.1], dataset=name)]
    table = tallied(rows).table("video")
    assert table.methods() == ["fake"]
    assert at(result_of(tallied(rows)).groups[0], "video").auc.value == 1.0


def test_names_of_groups_mean_nothing() -> None:
    named = [
        scored("1", "fake", [0.9], group="a;b"),
        scored("2", "real", [0.1], group=";"),
        scored("3", "fake", [0.8], group="video 4"),
        scored("4", "real", [0.2]),
    ]
    assert at(result_of(tallied(named)).groups[0], "video").counts.people == 4


def test_intervals_draw_groups() -> None:
    drawn = at(result_of(tallied(ROWS)).groups[0], "video").counts
    assert drawn.people == 4


def test_table_six_stands_as_printed_with_ours_below() -> None:
    table = table_six(result_of(tallied(ROWS)))
    printed = FILE.read_text().splitlines()[1:]
    assert [",".join(row[:-1]) for row in table.rows[:-1]] == printed
    assert table.rows[-1][0] == "m 1"
    assert NO_REAL in table.rows[-1][-1]
    assert "DFW, 2 forged and 0 real" in table.notes[0]
    with_real = table_six(result_of(tallied([*ROWS, scored("y", "real", [0.1], dataset="DFW")])))
    assert with_real.rows[-1][-1].startswith("66.67")


def test_the_worst_mistakes_come_first_and_right_ones_not_at_all(tmp_path: Path) -> None:
    tally = tallied(ROWS)
    assert [row.id for row in tally.mistakes(9)] == ["b", "c"]
    write_report(tally, result_of(tally), tmp_path)
    mistakes = (tmp_path / "report.md").read_text().split("worst mistakes")[1]
    assert mistakes.index("| b |") < mistakes.index("| c |")
    assert "| a |" not in mistakes


def test_the_worst_mistakes_are_drawn_clip_by_clip(tmp_path: Path) -> None:
    rows = [scored("missed", "fake", [0.1, 0.3], [0.4, 0.2], [0.1]), ROWS[3]]
    figure = timelines([rows[0]], tallied(rows))
    bars = [each for each in figure.axes[0].collections if isinstance(each, PolyCollection)]
    tops = sorted(float(path.vertices[:, 1].max()) for each in bars for path in each.get_paths())
    # Faces by their highest clip, each a unit lower; 0.8 of it is P(fake) from 0 to 1.
    highest = [0.8 * 0.4, 0.8 * 0.2, 0.8 * 0.1 - 1, 0.8 * 0.3 - 1, 0.8 * 0.1 - 2]
    assert tops == pytest.approx(sorted(highest))
    assert figure.axes[0].get_title(loc="left") == "missed: fake, scored 0.30"
    write_report(tallied(rows), result_of(tallied(rows)), tmp_path)
    assert (tmp_path / "mistakes.png").read_bytes().startswith(b"\x89PNG")


def test_without_mistakes_none_is_drawn(tmp_path: Path) -> None:
    right = tallied([ROWS[0], ROWS[3]])
    write_report(right, result_of(right), tmp_path)
    assert not (tmp_path / "mistakes.png").exists()


def test_ids_and_names_cannot_become_markup(tmp_path: Path) -> None:
    hostile = '$\\no$<script>alert(1)</script><img src=x onerror="a">|`x`'
    linked = r"$\no$![x](http://evil.test/b.png)"
    tally = tallied([scored(hostile, "fake", [0.1], dataset=linked), ROWS[2]])
    write_report(tally, result_of(tally), tmp_path)
    page = (tmp_path / "report.html").read_text()
    assert "<script" not in page
    assert "<img src=x" not in page
    assert "&lt;script&gt;" in page
    assert "default-src 'none'" in page
    assert page.count("data:image/png;base64,") == 3
    text = (tmp_path / "report.md").read_text()
    assert re.search(r"(?<!\\)<", text) is None
    assert linked not in text
    assert {len(re.split(r"(?<!\\)\|", line)) for line in text.splitlines() if "alert" in line} == {
        7
    }


@pytest.mark.parametrize("names", [["_hidden"], [f"d{number}" for number in range(40)]])
def test_pictures_take_any_names(names: list[str], tmp_path: Path) -> None:
    tally = tallied([*(scored(n, "fake", [0.9], dataset=n) for n in names), ROWS[2]])
    write_report(tally, result_of(tally), tmp_path)
    picture = (tmp_path / "scores.png").read_bytes()
    # Height in the header of a PNG.
    assert 100 < int.from_bytes(picture[20:24], "big") < 1500


def test_a_result_can_be_read_back(tmp_path: Path) -> None:
    tally = tallied(ROWS)
    result = result_of(tally)
    write_report(tally, result, tmp_path)
    assert Result.model_validate_json((tmp_path / "result.json").read_text()) == result
