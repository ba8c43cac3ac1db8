"""The files of the page as they lie there: what they hold, and what they must not."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from html.parser import HTMLParser
from pathlib import Path

import pytest

from service.api import page
from tests.web.test_serving import PARTS, everything

REPOSITORY = Path(__file__).resolve().parents[2]
BUDGET = 150_000
"""Bytes of all that a browser loads, compressed."""

SINKS = [
    r"\b(inner|outer)HTML\b",
    r"\binsertAdjacentHTML\b",
    r"\bdocument\s*\.\s*write",
    r"\bcreateContextualFragment\b",
    r"\b(parse|set)HTML",
    r"\bDOMParser\b",
    r"\bsrcdoc\b",
    r"\beval\s*\(",
    r"\bnew\s+Function\b",
    r"\bset(Timeout|Interval)\s*\(\s*[\"'`]",
    r"\bjavascript:",
]
STORES = [
    r"\blocalStorage\b",
    r"\bsessionStorage\b",
    r"\bindexedDB\b",
    r"\bdocument\s*\.\s*cookie\b",
    r"\bcookieStore\b",
    r"\bcaches\b\s*\.",
    r"\bserviceWorker\b",
]
SENDERS = [r"\bsendBeacon\b", r"\bWebSocket\b", r"\bnew\s+EventSource\b", r"\bRTCPeerConnection\b"]
OUTSIDE = r"https?://(?!www\.w3\.org/|(?:\w+\.)?example\.org\b)[\w\[]"


class Markup(HTMLParser):
    """The elements of a page with their attributes, and the text of those that hold code."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.code = ""
        self._inside = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}))
        self._inside = tag

    def handle_data(self, data: str) -> None:
        if self._inside in ("script", "style"):
            self.code += data.strip()

    def named(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.found if name == tag]


@pytest.fixture(scope="module")
def markup() -> Markup:
    return Markup((page.FOLDER / page.FIRST).read_text())


def test_nothing_but_known_kinds_of_files_lies_in_the_folder() -> None:
    assert set(page.page().parts) == {*PARTS}
    assert all(path.is_file() and not path.is_symlink() for path in page.FOLDER.iterdir())


def test_it_is_small() -> None:
    sizes = {name: len(file.packed) for name, file in everything().items() if "LICENSE" not in name}
    assert sum(sizes.values()) < BUDGET, sizes


def test_there_is_no_script_or_style_in_the_markup(markup: Markup) -> None:
    assert markup.code == ""
    assert markup.named("script")
    assert all(script.get("src") for script in markup.named("script"))
    assert not markup.named("style")
    for tag, attributes in markup.found:
        assert tag not in ("base", "embed", "frame", "iframe", "object"), tag
        assert "style" not in attributes, tag
        assert not [name for name in attributes if name.startswith("on")], tag
        assert "http-equiv" not in attributes, tag


def test_every_address_in_the_markup_is_relative_and_there(markup: Markup) -> None:
    named = {
        value
        for _, attributes in markup.found
        for name, value in attributes.items()
        if name in ("src", "href", "action", "poster", "data", "srcset")
    }
    files = {each for each in named if not each.startswith(("#", "data:"))}
    assert {each for each in files if each.startswith("page/")} >= {
        script["src"] for script in markup.named("script")
    }
    known = {f"page/{name}" for name in PARTS} | {"docs"}
    assert files <= known, files - known


def test_modules_load_from_beside_themselves() -> None:
    for name in PARTS:
        if name.endswith(".js"):
            text = (page.FOLDER / name).read_text()
            loaded = re.findall(r"""(?:^|\bfrom|\bimport)\s*\(?\s*["']([^"']+)["']""", text, re.M)
            loaded = [each for each in loaded if "/" in each or each.endswith(".js")]
            assert {each.removeprefix("./") for each in loaded} <= set(PARTS), name
            assert all(each.startswith("./") for each in loaded), name


def test_the_page_says_what_it_is(markup: Markup) -> None:
    assert markup.named("html")[0]["lang"] == "en-GB"
    assert markup.named("title")
    metas = {meta.get("name"): meta.get("content", "") for meta in markup.named("meta")}
    assert "width=device-width" in metas["viewport"]
    assert not re.search(r"user-scalable\s*=\s*no|maximum-scale", metas["viewport"])
    assert {"charset": "utf-8"} in markup.named("meta")
    # Otherwise a browser asks for /favicon.ico.
    assert any("icon" in link.get("rel", "") for link in markup.named("link"))


@pytest.mark.parametrize("name", [page.FIRST, *PARTS])
def test_no_file_makes_markup_of_text_or_keeps_or_sends_anything(name: str) -> None:
    text = (page.FOLDER / name).read_text()
    if "LICENSE" not in name:
        for pattern in (*SINKS, *STORES, *SENDERS, OUTSIDE):
            assert not re.search(pattern, text), pattern


def test_the_patterns_find_what_they_are_for() -> None:
    for text in (
        "a.innerHTML = b",
        "outerHTML",
        "document . write(x)",
        "eval (x)",
        "new  Function('a')",
        "setTimeout('a', 1)",
        "Document.parseHTMLUnsafe(x)",
        "href = `javascript:${x}`",
        "localStorage.key = 1",
        "document.cookie",
        "await caches.open('a')",
        'fetch("https://cdn.example.com/a.js")',
    ):
        assert any(re.search(each, text) for each in (*SINKS, *STORES, *SENDERS, OUTSIDE)), text
    for text in ("https://example.org/video.mp4", "http://www.w3.org/2000/svg", "setTimeout(go)"):
        assert not any(re.search(each, text) for each in (*SINKS, *STORES, *SENDERS, OUTSIDE)), text


def test_an_installed_package_holds_it(tmp_path: Path) -> None:
    built = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert built.returncode == 0, built.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as files:
        packed = {name for name in files.namelist() if name.startswith("service/page/")}
        assert packed == {f"service/page/{name}" for name in (page.FIRST, *PARTS)}
        for name in packed:
            assert files.read(name) == (REPOSITORY / name).read_bytes()
