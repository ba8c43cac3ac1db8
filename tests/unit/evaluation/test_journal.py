"""Rows that outlive their process."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.evaluation.journal import JournalError, open_journal
from tests.unit.evaluation.made import lacking, scored

ABOUT = {"list": "1", "sampling": "paper"}
ROWS = [scored("ä", "fake", [0.9]), lacking("b", "real", "busy"), lacking("c", "fake")]


def filled(path: Path) -> Path:
    with open_journal(path, ABOUT) as journal:
        assert journal.rows == []
        for row in ROWS:
            journal.append(row)
    return path


def test_rows_are_there_again(tmp_path: Path) -> None:
    with open_journal(filled(tmp_path / "rows"), ABOUT) as journal:
        assert journal.rows == ROWS


def test_with_again_errors_are_dropped_for_good(tmp_path: Path) -> None:
    path = filled(tmp_path / "rows")
    with open_journal(path, ABOUT, again=True) as journal:
        assert [row.id for row in journal.rows] == ["ä", "c"]
    with open_journal(path, ABOUT) as journal:
        assert [row.id for row in journal.rows] == ["ä", "c"]


def test_torn_at_any_byte_it_keeps_the_whole_rows_before(tmp_path: Path) -> None:
    whole = filled(tmp_path / "rows").read_bytes()
    ends = [place for place, byte in enumerate(whole) if byte == ord("\n")]
    for size in range(ends[0] + 1, len(whole), 1):
        torn = tmp_path / "torn"
        torn.write_bytes(whole[:size])
        with open_journal(torn, ABOUT) as journal:
            complete = sum(end <= size for end in ends[1:])
            assert journal.rows == ROWS[:complete]
            journal.append(ROWS[-1])
        with open_journal(torn, ABOUT) as journal:
            assert journal.rows == [*ROWS[:complete], ROWS[-1]]


def test_of_another_evaluation_it_is_refused_and_kept(tmp_path: Path) -> None:
    path = filled(tmp_path / "rows")
    before = path.read_bytes()
    with (
        pytest.raises(JournalError, match=r"another evaluation \(sampling\)"),
        open_journal(path, ABOUT | {"sampling": "full"}),
    ):
        pass
    assert path.read_bytes() == before


@pytest.mark.parametrize("text", ["", "no json\n", "[]\n", '"x"\n'])
def test_what_is_no_journal_is_refused_and_kept(tmp_path: Path, text: str) -> None:
    path = tmp_path / "rows"
    path.write_text(text)
    with pytest.raises(JournalError), open_journal(path, ABOUT):
        pass
    assert path.read_text() == text


def test_a_spoiled_row_in_the_middle_is_refused(tmp_path: Path) -> None:
    path = filled(tmp_path / "rows")
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:2], "{}", *lines[2:]]) + "\n")
    with pytest.raises(JournalError, match="line 3"), open_journal(path, ABOUT):
        pass


def test_where_nothing_can_be_written_that_is_said(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="No such file"), open_journal(tmp_path / "a/b", ABOUT):
        pass


def test_a_full_disk_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_journal(tmp_path / "rows", ABOUT) as journal:
        monkeypatch.setattr("os.write", lambda descriptor, line: len(line) // 2)
        with pytest.raises(JournalError, match="No space left"):
            journal.append(ROWS[0])


def test_two_processes_do_not_write_one(tmp_path: Path) -> None:
    path = filled(tmp_path / "rows")
    with open_journal(path, ABOUT) as first:
        with (
            pytest.raises(JournalError, match="another process"),
            open_journal(path, ABOUT),
        ):
            pass
        first.append(scored("d", "real", [0.1]))
    with open_journal(path, ABOUT) as journal:
        assert len(journal.rows) == len(ROWS) + 1
