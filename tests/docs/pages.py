"""Markdown pages: their fenced blocks with the mark above each, their links and headings.

A mark is an HTML comment in the line above a block, which no reader sees:

    <!-- prints: REGEX -->                it is run; status 0, and its output matches
    <!-- busy at first, prints: REGEX --> the same, while the service turns callers away at first
    <!-- tested by: tests/a.py::test_b --> that test does what the block does; commas between many
    <!-- not run: needs ... -->           why not: needs, shows, takes or is something
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.docs import elsewhere

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDERS = ("docs", "benchmarks", "deploy", "service/models")

_FENCE = re.compile(r"^( *)(`{3,}|~{3,}) *([\w+-]*)")
_MARK = re.compile(r"^ *<!-- *(.*?) *-->$")
_CODE = re.compile(r"`[^`\n]*`")
_LINK = re.compile(r"\[[^\]\[]*(?:\[[^\]]*\][^\]\[]*)*\]\(([^()\s]+)\)")


@dataclass(frozen=True)
class Block:
    """A fenced block; ``page`` is relative to the repository, ``line`` that of its fence."""

    page: str
    line: int
    language: str
    text: str
    mark: str
    """Empty where it has none."""

    @property
    def name(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def shell(self) -> str:
        """What is typed: all of it, or in a console what stands behind a prompt."""
        if self.language != "console":
            return self.text
        typed: list[str] = []
        for line in self.text.splitlines():
            if line.startswith("$ "):
                typed.append(line[2:])
            elif typed and typed[-1].endswith("\\"):
                typed.append(line)
        return "\n".join(typed) + "\n"


def pages() -> list[Path]:
    """Every Markdown page of the repository."""
    found = [*REPOSITORY.glob("*.md")]
    for folder in FOLDERS:
        found += (REPOSITORY / folder).rglob("*.md")
    return sorted(found)


def documented() -> list[Path]:
    """The pages whose every block is run or says why it is not."""
    guides = (REPOSITORY / "docs").rglob("*.md")
    return [REPOSITORY / "README.md", *sorted(guides)]


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, those of ``elsewhere`` with their marks."""
    name = str(page.relative_to(REPOSITORY))
    return [
        Block(name, line, language, text, mark or elsewhere.mark(name, text))
        for line, language, text, mark in _blocks(page.read_text())
    ]


def all_blocks() -> list[Block]:
    return [block for page in documented() for block in blocks(page)]


def _blocks(text: str) -> Iterator[tuple[int, str, str, str]]:
    """Line, language, text and mark of each."""
    opened: tuple[int, str, str, str, str] | None = None
    body: list[str] = []
    before = ""
    for number, line in enumerate(text.splitlines(), 1):
        fence = _FENCE.match(line)
        if opened is None:
            if fence:
                found = _MARK.match(before)
                mark = found.group(1) if found else ""
                opened = (number, *fence.groups(), mark)
                body = []
            before = line
        elif fence and fence.group(2).startswith(opened[2]) and line.strip() == fence.group(2):
            start, indent, _, language, mark = opened
            text = "\n".join(each.removeprefix(indent) for each in body) + "\n"
            yield start, language, text, mark
            opened, before = None, ""
        else:
            body.append(line)
    assert opened is None, f"the block in line {opened and opened[0]} has no end"


def prose(page: Path) -> str:
    """A page without its blocks."""
    kept, fence = [], ""
    for line in page.read_text().splitlines():
        found = _FENCE.match(line)
        if found and not fence:
            fence = found.group(2)
        elif fence:
            if line.strip() == fence:
                fence = ""
        else:
            kept.append(line)
    return "\n".join(kept)


def links(page: Path) -> list[str]:
    """Where a page links to, in pages and pictures; not what lies on the web."""
    found = _LINK.findall(_CODE.sub("`code`", prose(page)))
    return [link for link in found if not re.match(r"[a-z]+:", link)]


def anchors(page: Path) -> set[str]:
    """What can stand behind ``#``: each heading as GitHub names it."""
    found: set[str] = set()
    for line in prose(page).splitlines():
        heading = re.match(r"#{1,6} +(.*?)[ #]*$", line)
        if heading:
            text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading.group(1)).lower()
            slug = re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
            again = sum(each == slug or each.startswith(f"{slug}-") for each in found)
            found.add(f"{slug}-{again}" if slug in found else slug)
    return found
