"""What a benchmark found, as Markdown, and the command around every benchmark."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.machine import machine


@dataclass
class Section:
    """A table and what has to be said about it."""

    title: str
    header: Sequence[str]
    rows: list[Sequence[str]] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    """Promises that were not kept, in words."""

    def markdown(self) -> str:
        """Heading, table and remarks. Raises ``ValueError`` for a row of another width."""
        lines = [f"### {self.title}", "", _row(self.header), _row(["---"] * len(self.header))]
        for row in self.rows:
            if len(row) != len(self.header):
                raise ValueError(f"{len(row)} cells under {len(self.header)} headings: {row}")
            lines.append(_row(row))
        for remark in (*self.remarks, *(f"**Broken:** {each}" for each in self.broken)):
            lines += ["", remark]
        return "\n".join(lines) + "\n"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def command(
    name: str,
    about: str | None,
    arguments: Callable[[argparse.ArgumentParser], None],
    measure: Callable[[argparse.Namespace], list[Section]],
) -> int:
    """Parse the command line, measure, and print or write what came out, the machine first.

    Gives the exit status: 1 where a promise was broken.
    """
    parser = argparse.ArgumentParser(
        prog=f"python -m benchmarks.{name}",
        description=about,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    arguments(parser)
    parser.add_argument("--output", type=Path, help="Markdown file; printed without")
    given = parser.parse_args()
    before, began = machine(), time.monotonic()
    sections = measure(given)
    head = f"`{before}`; took {time.monotonic() - began:.0f} s\n"
    text = "\n".join([head, *(section.markdown() for section in sections)])
    if given.output:
        given.output.write_text(text)
    else:
        print(text)
    return int(any(section.broken for section in sections))
