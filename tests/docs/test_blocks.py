"""Every block of every page is run here or elsewhere or says why not, and holds what it may."""

from __future__ import annotations

import ast
import csv
import importlib.util
import json
import re
import tomllib
from functools import cache
from pathlib import Path

import pytest
import yaml

from tests.docs.commands import check, words_of
from tests.docs.elsewhere import MARKS
from tests.docs.pages import REPOSITORY, Block, all_blocks, documented

BLOCKS = all_blocks()
DATA = ("csv", "json", "mermaid", "toml", "yaml")
"""Languages of blocks that are held against their grammar, and need no mark."""

DIAGRAMS = ("flowchart ", "sequenceDiagram")
SHELLS = ("", "console", "sh")


def named(block: Block) -> str:
    return block.name


def those_in(*languages: str) -> list[Block]:
    return [block for block in BLOCKS if block.language in languages]


@pytest.mark.parametrize("block", BLOCKS, ids=named)
def test_it_is_run_or_says_why_not(block: Block) -> None:
    kind, _, rest = block.mark.partition(": ")
    match kind:
        case "prints" | "busy at first, prints":
            re.compile(rest)
            assert block.language in ("sh", "console", "python", "javascript")
        case "tested by":
            for node in rest.split(", "):
                assert_test(node)
        case "not run":
            assert re.match(r"(is|needs|shows|takes) \w", rest), f"why? {rest}"
        case "":
            assert block.language in DATA, "no mark above it: tests/docs/pages.py says which"
        case _:
            pytest.fail(f"no such mark: {block.mark}")


def test_no_mark_is_left_over() -> None:
    for page, start in MARKS:
        found = [block for block in BLOCKS if block.page == page and block.text.startswith(start)]
        assert len(found) == 1, f"{page}: {start}"


def test_every_guide_is_looked_at() -> None:
    assert len(documented()) > 30
    assert len(BLOCKS) > 80


def assert_test(node: str) -> None:
    """It exists; parameters are left out."""
    file, _, name = node.partition("::")
    assert (REPOSITORY / file).is_file(), node
    assert name in functions(file), node


@cache
def functions(file: str) -> set[str]:
    tree = ast.parse((REPOSITORY / file).read_text())
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {each.name for each in tree.body if isinstance(each, kinds)}


@pytest.mark.parametrize("block", those_in(*SHELLS), ids=named)
def test_commands_and_their_options_exist(block: Block) -> None:
    if "not run: shows" not in block.mark:
        for words in words_of(block.shell):
            check(words)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("deepfake-service score", "Missing argument"),
        ("deepfake-service score v --no", "No such option"),
        (".venv/bin/deepfake-models data chek x", "No such command"),
        ("DEEPFAKE_METRICS=false deepfake-service serve --ports 1 | cat", "No such option"),
        ("true && scripts/nothing", "there is no"),
        ("python -m benchmarks.nothing", "there is no"),
        ("pip install -r requirements/nothing.txt", "there is no"),
    ],
)
def test_one_that_does_not_is_noticed(command: str, said: str) -> None:
    (words,) = [each for each in words_of(command) if each[0] not in ("cat", "true")]
    with pytest.raises(AssertionError, match=said):
        check(words)


@pytest.mark.parametrize("block", those_in(*DATA), ids=named)
def test_data_follow_their_grammar(block: Block) -> None:
    match block.language:
        case "json":
            json.loads(block.text)
        case "toml":
            tomllib.loads(block.text)
        case "yaml":
            list(yaml.safe_load_all(block.text))
        case "csv":
            rows = list(csv.reader(block.text.splitlines()))
            assert {len(row) for row in rows} == {len(rows[0])}
        case "mermaid":
            assert block.text.startswith(DIAGRAMS)
            assert block.text.count("subgraph ") == len(re.findall(r"^\s*end$", block.text, re.M))


@pytest.mark.parametrize("block", those_in("python"), ids=named)
def test_what_is_imported_exists(block: Block) -> None:
    for node in ast.walk(ast.parse(block.text)):
        if isinstance(node, ast.ImportFrom):
            assert node.module is not None
            spec = importlib.util.find_spec(node.module)
            assert spec is not None, node.module
            if node.module.startswith(("model_export", "service")):
                assert spec.origin is not None
                source = ast.parse(Path(spec.origin).read_text())
                names = {each.id for each in ast.walk(source) if isinstance(each, ast.Name)}
                names |= {getattr(each, "name", "") for each in ast.walk(source)}
                assert {each.name for each in node.names} <= names
        elif isinstance(node, ast.Import):
            assert all(importlib.util.find_spec(each.name) for each in node.names)
