"""What pages name exists: links, headings, files, tests, settings, metrics, codes."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest
from pydantic import BaseModel

from service.app import create_app
from service.errors import ServiceError
from service.settings import Settings
from tests.api.fakes import FakeEngine
from tests.docs.pages import REPOSITORY, anchors, documented, links, pages
from tests.docs.test_blocks import assert_test

GUIDES = REPOSITORY / "docs"
CLIENTS = {"DEEPFAKE_KEY"}
"""Variables that are read, and are no settings of the service."""

_KINDS = "csv|html|ini|json|md|onnx|png|py|sh|sha256|tgz|toml|tpl|txt|yaml|yml"
_FILE = rf"`((?:benchmarks|deploy|docs|model_export|scripts|service|tests)/[\w./-]+\.(?:{_KINDS}))"


def shown(page: Path) -> str:
    return str(page.relative_to(REPOSITORY))


@pytest.mark.parametrize("page", pages(), ids=shown)
def test_links_lead_somewhere(page: Path) -> None:
    for link in links(page):
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_the_index_leads_to_every_guide() -> None:
    linked = {(GUIDES / link.partition("#")[0]).resolve() for link in links(GUIDES / "README.md")}
    assert set(GUIDES.glob("*.md")) - linked == {GUIDES / "README.md"}


@pytest.mark.parametrize("page", documented(), ids=shown)
def test_files_and_tests_are_there(page: Path) -> None:
    text = page.read_text()
    for file in re.findall(_FILE, text):
        assert (REPOSITORY / file).exists(), file
    for node in re.findall(r"tests/[\w/]+\.py::\w+", text):
        assert_test(node)


def settings() -> set[str]:
    found = set(CLIENTS)
    for name, field in Settings.model_fields.items():
        part = field.get_default(call_default_factory=True)
        keys = type(part).model_fields if isinstance(part, BaseModel) else ()
        found |= {f"DEEPFAKE_{name}__{key}".upper() for key in keys} or {f"DEEPFAKE_{name}".upper()}
    return found


@pytest.mark.parametrize("page", documented(), ids=shown)
def test_settings_exist(page: Path) -> None:
    known = settings()
    for name in re.findall(r"DEEPFAKE_[A-Z0-9_]+", page.read_text()):
        group = name.endswith("_") and any(each.startswith(name) for each in known)
        assert group or name in known, name


def codes() -> dict[str, int]:
    waiting, found = [ServiceError], {}
    while waiting:
        kind = waiting.pop()
        found[kind.code] = kind.status
        waiting += kind.__subclasses__()
    return found


@pytest.mark.parametrize("page", documented(), ids=shown)
def test_codes_have_the_status_that_is_told(page: Path) -> None:
    text, known = page.read_text(), codes()
    for code, status in re.findall(r"`([a-z_]+)` \((\d{3})\)", text):
        assert known.get(code) == int(status), code
    for status, code in re.findall(r"\b([45]\d\d) `([a-z_]+)`", text):
        assert known.get(code) == int(status), code


@cache
def routes() -> set[str]:
    """Paths of the API, and others that it answers at, ``*`` for what is named in a request."""
    schema = create_app(Settings(), FakeEngine()).openapi()
    return {re.sub(r"{\w+}", "*", path) for path in schema["paths"]} | {"/docs", "/openapi.json"}


@pytest.mark.parametrize("page", documented(), ids=shown)
def test_paths_are_answered_at(page: Path) -> None:
    for path in re.findall(
        r"`(?:(?:DELETE|GET|POST) )?(/(?:v1|v2|docs|health|metrics|openapi|problems)\b[^`?]*)`",
        page.read_text(),
    ):
        plain = re.sub(r"{\w+}|<\w+>-\.\.\.", "*", path)
        assert any(f"{route}/".startswith(f"{plain}/") for route in routes()), path


def test_a_page_is_read_as_it_is_shown(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# A `b` & C\n\n## D\n\n## D\n\n[x](a.md#b) `[y](z)`\n\n```\n[q](r)\n```\n")
    assert anchors(page) == {"a-b--c", "d", "d-1"}
    assert links(page) == ["a.md#b"]
