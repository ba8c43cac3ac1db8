"""The page's texts: each that is asked for is there, and each problem has its own."""

from __future__ import annotations

import re

import pytest

from service.api.page import FOLDER
from service.api.problems import kinds

TEXTS = (FOLDER / "texts.en.js").read_text()
KEYS = set(re.findall(r'^  "([a-z0-9_.-]+)": ', TEXTS, re.M))
MODULES = {
    path.name: path.read_text()
    for path in sorted(FOLDER.glob("*.js"))
    if path.name != "texts.en.js"
}


def test_each_text_that_the_markup_names_is_there() -> None:
    named = re.findall(r'data-(?:text|label)="([^"]+)"', (FOLDER / "index.html").read_text())
    assert len(named) > 30
    assert set(named) <= KEYS


@pytest.mark.parametrize("name", MODULES)
def test_each_text_that_a_module_names_is_there(name: str) -> None:
    asked = set(re.findall(r'\bsay\(\s*"([^"]+)"', MODULES[name]))
    assert asked <= KEYS


def test_no_text_is_left_over() -> None:
    """Translators have enough to do."""
    used = "".join(MODULES.values()) + (FOLDER / "index.html").read_text()
    made = re.findall(r"`([a-z-]+\.(?:[a-z]+-)?)\$\{", used)
    for key in KEYS:
        assert key in used or any(key.startswith(each) for each in made), key


@pytest.mark.parametrize("code", kinds())
def test_each_problem_has_a_sentence_and_a_way_on(code: str) -> None:
    known = {f"problem.{code}", f"way.{code}"} <= KEYS
    # Of jobs, which the page does not use.
    assert known or code in ("unknown_job", "other_replica")


def test_each_text_that_counts_has_both_forms_of_english() -> None:
    counting = re.findall(r'^  "[^"]+": (\{.*?\}),$', TEXTS, re.M | re.S)
    assert len(counting) > 5
    for each in counting:
        assert set(re.findall(r"\b(\w+): \"", each)) == {"one", "other"}, each


def test_there_is_no_markup_in_any() -> None:
    assert not re.search(r"<\w|&\w+;", TEXTS)
