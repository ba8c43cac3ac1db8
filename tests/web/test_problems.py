"""What goes wrong is a clear sentence with a way on, and no text becomes more than text."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from service.api.problems import kinds
from service.engine import Progress
from service.settings import Settings
from tests.api.fakes import SEGMENT, FakeEngine
from tests.api.served import TWO_MODELS
from tests.api.wire import served
from tests.web.browser import Visits
from tests.web.fake_api import (
    Answer,
    FakeApi,
    analyse,
    choose,
    example,
    finished,
    give_key,
    problem,
    progress,
    stream,
    with_texts,
)
from tests.web.hostile import ALL, BIDI, MARKUP, injected, turned
from tests.web.relay import Relay, relayed

pytestmark = pytest.mark.asyncio(loop_scope="session")

LATER = {"busy", "rate_limited", "not_ready"}
CODES = {code: problem(code, retry_after=5 if code in LATER else None) for code in kinds()}
HTML = {"Content-Type": "text/html"}
BROKEN: dict[str, Answer] = {
    "a code of tomorrow": problem("of_tomorrow"),
    "a proxy's page": {"status": 502, "headers": HTML, "body": "<html><h1>Bad Gateway</h1>"},
    "a proxy's limit": {"status": 413, "headers": HTML, "body": "<html>Too Large"},
    "no body": {"status": 500, "body": ""},
    "no document": {"status": 429, "headers": {"Retry-After": "1"}, "body": "[]"},
    "no answer": None,
    "no end": stream(progress()),
    "nothing at all": stream(),
    "half a line": stream(progress(), '{"event":"report","rep'),
    "a line of something else": stream(progress(), "<html>"),
    "an event of tomorrow alone": stream({"event": "of_tomorrow"}),
    "a report that is none": stream({"event": "report", "report": None}),
    "an error on the way": stream(progress(), {"event": "error", "problem": {}}),
}

HOUR = 3600


async def told(page: Page) -> str:
    """The sentence of the problem that shows; the page is at rest and offers a way on."""
    shown = page.locator("#problem")
    await expect(shown).to_be_visible()
    await expect(page.locator("#progress")).to_be_hidden()
    assert not await page.locator("#cancel:visible:enabled").count()
    again = await page.locator("#retry:visible").count()
    assert again or await page.locator("#analyse:visible:enabled").count()
    await expect(page.locator("#verdict")).to_be_hidden()
    return await shown.inner_text()


def assert_sentence(text: str) -> None:
    assert re.search(r"[A-Z][^{}<>\[\]]{15,}[.!?](\s|$)", text), text
    assert not re.search(r"\b(undefined|null|NaN|TypeError|Bad Gateway)\b|\[object", text), text


async def test_every_problem_is_a_sentence_with_a_way_on(api: FakeApi, dull: bytes) -> None:
    await api.page.clock.install()
    await choose(api.page, dull)
    sentences: dict[str, str] = {}
    for code, answer in CODES.items():
        api.answers(answer)
        await api.page.click("#analyse")
        sentences[code] = await told(api.page)
        assert_sentence(sentences[code])
        assert (await api.page.locator("#retry:visible:disabled").count()) == (code in LATER), code
        await api.page.clock.fast_forward(6000)
    assert len(api.asked) == len(CODES)
    same = [code for code, text in sentences.items() if list(sentences.values()).count(text) > 1]
    assert same == [], "different problems must not read the same"


async def test_so_is_an_answer_that_no_service_gives(api: FakeApi, dull: bytes) -> None:
    await choose(api.page, dull)
    for what, answer in BROKEN.items():
        print(what)
        api.answers(answer, finished(example()))
        await api.page.click("#analyse")
        assert_sentence(await told(api.page))
        await go_on(api.page)
        await expect(api.page.locator("#verdict")).to_have_attribute("data-verdict", "fake")
        await expect(api.page.locator("#problem")).to_be_hidden()


async def go_on(page: Page) -> None:
    """Take the way that the page offers."""
    again = page.locator("#retry:visible")
    await (again if await again.count() else page.locator("#analyse")).click()


@pytest.fixture
def gate() -> threading.Event:
    """Opened, the work of ``relay``'s service goes on to its end."""
    return threading.Event()


@pytest_asyncio.fixture(loop_scope="session")
async def relay(gate: threading.Event) -> AsyncIterator[Relay]:
    """Connections to a service that has told one segment and waits."""
    engine = FakeEngine(readiness=TWO_MODELS, told=[Progress(5.0, 10.0, 9), SEGMENT], gate=gate)
    with served(Settings(), engine) as port:
        async with relayed(port) as between:
            yield between


async def test_a_connection_that_is_cut_in_the_midst_is_told_and_taken_up_again(
    visits: Visits, relay: Relay, gate: threading.Event, dull: bytes
) -> None:
    page = await visits.open(f"{relay.url}/")
    await analyse(page, dull)
    await expect(page.locator("button.segment")).to_have_count(1)
    await expect(page.locator("#problem")).to_be_hidden()
    relay.cut()
    assert "The connection to the service broke off" in await told(page)
    gate.set()
    await go_on(page)
    await expect(page.locator("#verdict")).to_have_attribute("data-verdict", "fake")
    await expect(page.locator("#problem")).to_be_hidden()


async def test_what_did_not_get_through_is_told_apart_and_sent_again(
    api: FakeApi, dull: bytes
) -> None:
    api.answers(None, finished(example()))
    await analyse(api.page, dull)
    assert "did not get through" in await told(api.page)
    await go_on(api.page)
    await expect(api.page.locator("#verdict")).to_have_attribute("data-verdict", "fake")


@pytest.mark.parametrize("code", ["busy", "not_ready"])
async def test_nothing_is_sent_again_before_the_time_the_service_names(
    visits: Visits, swift: str, dull: bytes, code: str
) -> None:
    page = await visits.blank(f"{swift}/")
    await page.clock.install()
    await page.goto(f"{swift}/")
    api = FakeApi(page)
    await api.attach()
    api.answers(problem(code, retry_after=HOUR), finished(example()))
    await analyse(page, dull)
    assert_sentence(await told(page))
    retry = page.locator("#retry")
    await expect(retry).to_be_visible()
    await expect(retry).to_be_disabled()
    # Most of the hour; what a slow machine takes meanwhile passes as well.
    await page.clock.run_for((HOUR - 600) * 1000)
    await expect(retry).to_be_disabled()
    assert len(api.asked) == 1
    await page.clock.run_for(601 * 1000)
    await expect(retry).to_be_enabled()
    assert len(api.asked) == 1, "it is for the person to send again"
    await retry.click()
    await expect(page.locator("#verdict")).to_have_attribute("data-verdict", "fake")
    assert len(api.asked) == 2
    await expect(retry).to_be_hidden()


async def test_how_long_it_takes_is_shown_and_counts_down(
    visits: Visits, swift: str, dull: bytes
) -> None:
    page = await visits.blank(f"{swift}/")
    await page.clock.install()
    await page.goto(f"{swift}/")
    await page.clock.pause_at(await page.evaluate("Date.now() / 1000 + 60"))
    api = FakeApi(page)
    await api.attach()
    api.answers(problem("busy", retry_after=30))
    await analyse(page, dull)
    await told(page)
    around = page.locator("#retry, #retry-in, #problem, #status")
    shown = " ".join(await around.all_inner_texts())
    assert re.search(r"\b30\b", shown), shown
    await page.clock.run_for(20_000)
    shown = " ".join(await around.all_inner_texts())
    assert re.search(r"\b10\b", shown), shown
    await page.clock.run_for(11_000)
    await expect(page.locator("#retry")).to_be_enabled()


async def test_a_video_that_tells_nothing_has_a_verdict_that_says_so(
    api: FakeApi, dull: bytes
) -> None:
    await choose(api.page, dull)
    shown = api.page.locator("#verdict")
    for verdict in ("no_face", "unable"):
        api.answers(finished(example(verdict=verdict, score=None, raw_score=None, faces=[])))
        await api.page.click("#analyse")
        await expect(shown).to_have_attribute("data-verdict", verdict)
        await expect(shown).to_be_visible()
        assert_sentence(await shown.inner_text())
        await expect(api.page.locator("#problem")).to_be_hidden()
        await expect(api.page.locator("#analyse")).to_be_enabled()


async def assert_harmless(page: Page, shown: str) -> None:
    """Nothing of a hostile text came to life, and some of it shows as it is."""
    assert await injected(page) == []
    assert await turned(page) == []
    assert shown in await page.locator("body").inner_text()


async def answered(page: Page) -> None:
    """Wait for a verdict or a problem."""
    await expect(page.locator("#verdict, #problem").filter(visible=True)).not_to_have_count(0)


async def test_the_name_of_a_file_is_text(api: FakeApi, dull: bytes) -> None:
    api.answers(finished(example()))
    for name in MARKUP.values():
        # No file system takes these two.
        safe = name.replace("/", "\u2215").replace("\0", "")
        await analyse(api.page, dull, f"{safe}{BIDI}.mp4")
        await expect(api.page.locator("#verdict")).to_have_attribute("data-verdict", "fake")
        await assert_harmless(api.page, "x-hostile")


async def test_a_url_is_text(api: FakeApi) -> None:
    for text in [*MARKUP.values(), BIDI]:
        for address in (f"https://example.org/{text}", text):
            api.answers(problem("url_blocked", detail=f"Not fetched: {text}"))
            await api.page.fill("#url", address)
            await api.page.click("#analyse")
            await told(api.page)
            assert await injected(api.page) == []
            assert await turned(api.page) == []
        # A result shows the address: on paper, and in the command.
        api.answers(finished(example()))
        await api.page.fill("#url", f"https://example.org/{text}")
        await api.page.click("#analyse")
        await expect(api.page.locator("#verdict")).to_be_visible()
        await api.page.evaluate("dispatchEvent(new Event('beforeprint'))")
        await expect(api.page.locator("#print-source")).to_contain_text("Address: https://example.")
        await expect(api.page.locator("#curl")).to_contain_text("https://example.org/")
        assert await injected(api.page) == []
        assert await turned(api.page) == []


async def test_what_the_service_says_is_text(api: FakeApi, dull: bytes) -> None:
    for code in ("undecodable", "of_tomorrow"):
        api.answers(problem(code, detail=ALL))
        await analyse(api.page, dull)
        await told(api.page)
        assert await injected(api.page) == []
        assert await turned(api.page) == []
        document = json.loads(str((problem(code) or {})["body"])) | dict.fromkeys(
            ("type", "title", "code", "request_id"), ALL
        )
        api.answers(stream(progress(), {"event": "error", "problem": document}))
        await go_on(api.page)
        await told(api.page)
        assert await injected(api.page) == []
        assert await turned(api.page) == []


COMMANDS = ["'; touch hostile; '", "$(touch hostile)`touch hostile`", '" | touch hostile #']

KEPT = {"verdict", "cam_png"}
"""What a page may rely on: anything else in a report may be any text."""


@pytest.mark.parametrize("kept", [KEPT, set[str]()], ids=["in free fields", "everywhere"])
async def test_what_a_report_says_is_text(api: FakeApi, dull: bytes, kept: set[str]) -> None:
    report: dict[str, Any] = with_texts(example(), ALL, kept)
    report["reasons"] = [*MARKUP.values(), BIDI, ALL]
    report["coverage"]["faces_dropped"] = {ALL: 3}
    report["coverage"]["clips_dropped"] = {ALL: 2}
    report["model"]["metrics"] = [{"name": ALL, "value": 0.5, "data": ALL, "dataset": ALL}]
    api.answers(finished(report))
    await analyse(api.page, dull)
    if kept:
        await expect(api.page.locator("#verdict")).to_have_attribute("data-verdict", "fake")
        await assert_harmless(api.page, "x-hostile")
    else:
        await answered(api.page)
        assert await injected(api.page) == []
        assert await turned(api.page) == []


async def test_numbers_that_are_none_are_harmless_too(api: FakeApi, dull: bytes) -> None:
    report = example()
    segment = report["faces"][0]["segments"][0]
    segment |= {"start": -1e300, "end": 1e300, "score": 7, "box": [1e9] * 4}
    report["media"] |= {"duration": 0, "fps": None, "width": 0, "height": 0}
    api.answers(finished(report))
    await analyse(api.page, dull)
    await answered(api.page)
    assert "NaN" not in await api.page.locator("body").inner_text()


async def test_the_names_of_models_are_text(visits: Visits, swift: str) -> None:
    page = await visits.blank(f"{swift}/")
    api = FakeApi(page)
    names = [f"m{number} {text}" for number, text in enumerate(MARKUP.values())]
    models = [{"name": name, "notice": name, "trained_on": name} for name in names]
    await api.lists("/v1/models", {"default": names[0], "models": models, "ensembles": []})
    await page.goto(f"{swift}/", wait_until="networkidle")
    await expect(page.locator("#model option").filter(has_text=re.compile("^m1 "))).to_have_count(1)
    assert await injected(page) == []


async def test_the_command_to_copy_is_one_command_without_the_key(
    visits: Visits, swift: str, dull: bytes
) -> None:
    page = await visits.open(f"{swift}/", permissions=["clipboard-read", "clipboard-write"])
    api = FakeApi(page)
    await api.attach()
    api.answers(finished(example()))
    await give_key(page, "dfk_SECRET")
    for text in COMMANDS:
        await analyse(page, dull, f"a{text}.mp4")
        await copied_safely(page, "--data-binary")
        await page.fill("#url", f"https://example.org/{text}")
        await page.click("#analyse")
        await copied_safely(page, "--json")
    assert len(api.asked) == 2 * len(COMMANDS)


async def copied_safely(page: Page, option: str) -> None:
    """What lands on the clipboard is a single call of curl for a POSIX shell, without a secret,
    that sends the video with this option."""
    # Until then it is the call before that can be copied.
    await expect(page.locator("#curl")).to_contain_text(f" {option} ")
    await expect(page.locator("#verdict")).to_be_visible()
    await page.evaluate("navigator.clipboard.writeText('nothing')")
    await page.click("#copy-curl")
    command = await clipboard(page)
    lexer = shlex.shlex(command, posix=True, punctuation_chars="();<>|&\n")
    lexer.whitespace_split = True
    lexer.commenters = ""
    words = list(lexer)
    assert words[0] == "curl"
    assert option in words
    assert not {"(", ")", ";", "|", "&", "<", ">", "&&", "||"} & set(words), command
    # Outside of single quotes a shell would look for these.
    bare = re.sub(r"'[^']*'|\\'", "", command)
    assert "`" not in bare, command
    assert not re.search(r"\$(?!\{?DEEPFAKE_KEY\b)", bare), command
    assert "touch" not in bare, command
    assert "dfk_SECRET" not in command


async def clipboard(page: Page) -> str:
    """What was copied last."""
    async with asyncio.timeout(10):
        while True:
            text = str(await page.evaluate("navigator.clipboard.readText()"))
            if text != "nothing":
                return text
            await asyncio.sleep(0.05)
