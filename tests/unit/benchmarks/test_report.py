"""Tables, and what a command ends with."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from benchmarks.report import Section, command


def test_markdown() -> None:
    section = Section("Speed", ["way", "s"], [["a|b", "1"]], ["Idle."], ["too slow"])

    assert section.markdown() == (
        "### Speed\n\n| way | s |\n| --- | --- |\n| a\\|b | 1 |\n\nIdle.\n\n**Broken:** too slow\n"
    )


def test_a_row_of_another_width_is_an_error() -> None:
    with pytest.raises(ValueError, match="1 cells under 2 headings"):
        Section("Speed", ["way", "s"], [["a"]]).markdown()


@pytest.mark.parametrize(("broken", "status"), [([], 0), (["too slow"], 1)])
def test_command_writes_the_machine_and_the_tables_and_tells_what_broke(
    broken: list[str], status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "out.md"
    monkeypatch.setattr("sys.argv", ["x", "--rounds", "2", "--output", str(output)])

    def arguments(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--rounds", type=int)

    def measure(given: argparse.Namespace) -> list[Section]:
        return [Section(f"{given.rounds} rounds", ["a"], [["1"]], [], broken)]

    assert command("x", "about", arguments, measure) == status
    text = output.read_text()
    assert "core(s)" in text.splitlines()[0]
    assert "### 2 rounds" in text
