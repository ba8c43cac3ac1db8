"""A real headless Chromium, and what its pages do that they should not."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.async_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Dialog,
    Page,
    Request,
    async_playwright,
    expect,
)

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
PATIENCE = 30_000
"""Milliseconds in which anything expected of a page must come true; machines are slow at times."""

_NOWHERE = "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"

_TELL_VIOLATIONS = """
addEventListener("securitypolicyviolation", (event) => {
  policyViolated(`${event.effectiveDirective} ${event.blockedURI} ${event.sourceFile}`);
});
"""

# Not by a timer: tests turn the page's clock.
_PASS = """() => new Promise((passed) => {
  const channel = new MessageChannel();
  channel.port1.onmessage = passed;
  channel.port2.postMessage(null);
})"""

expect.set_options(timeout=PATIENCE)


def installed(*names: str) -> str:
    """Where the first of these programs is; what is not needed to work on the service may be
    missing outside of CI."""
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None and not os.environ.get("CI"):
        pytest.skip(f"{names[0]} is not installed")
    assert found is not None, f"{names[0]} is not installed"
    return found


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """A browser that reaches loopback alone."""
    path = installed(*PROGRAMS)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=[_NOWHERE])
        try:
            yield browser
        finally:
            await browser.close()


class Visits:
    """The pages of one test, each in a context of its own: nothing is kept from one to the next."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._contexts: list[BrowserContext] = []
        self._complaints: list[str] = []

    async def open(self, url: str, **options: Any) -> Page:
        """A page at this address, watched from its beginning; options are those of a context."""
        page = await self.blank(url, **options)
        await page.goto(url)
        return page

    async def blank(self, url: str, **options: Any) -> Page:
        """The same before it goes there."""
        context = await self._browser.new_context(**{"locale": "en-GB", **options})
        self._contexts.append(context)
        context.set_default_timeout(PATIENCE)
        page = await context.new_page()
        await _Watch(url, self._complaints).over(page)
        return page

    async def complaints(self) -> list[str]:
        """What was wrong since the last call: violations of the policy, errors in the console,
        requests to other origins, dialogs."""
        for context in self._contexts:
            for page in context.pages:
                await page.evaluate(_PASS)
        found = list(self._complaints)
        self._complaints.clear()
        return found

    async def close(self) -> None:
        """Leave all of them."""
        for context in self._contexts:
            await context.close()


class _Watch:
    """Hears of what is wrong on one page."""

    def __init__(self, url: str, complaints: list[str]) -> None:
        parts = urlsplit(url)
        self._allowed = (f"{parts.scheme}://{parts.netloc}/", "blob:", "data:")
        self._complaints = complaints

    async def over(self, page: Page) -> None:
        await page.expose_function("policyViolated", self._violated)
        await page.add_init_script(_TELL_VIOLATIONS)
        page.on("console", self._said)
        page.on("pageerror", lambda error: self._complaints.append(f"uncaught: {error}"))
        page.on("request", self._asked)
        page.on("dialog", self._opened)

    def _violated(self, what: str) -> None:
        self._complaints.append(f"against the policy: {what}")

    def _said(self, message: ConsoleMessage) -> None:
        # The browser says so itself of every answer that is an error, and those are expected.
        refused = "Failed to load resource" in message.text and "/v1/" in message.location["url"]
        if message.type == "error" and not refused:
            self._complaints.append(f"in the console: {message.text}")

    def _asked(self, request: Request) -> None:
        if not request.url.startswith(self._allowed):
            self._complaints.append(f"to another origin: {request.url}")

    async def _opened(self, dialog: Dialog) -> None:
        self._complaints.append(f"a dialog: {dialog.message}")
        await dialog.dismiss()
