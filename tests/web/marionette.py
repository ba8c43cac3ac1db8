"""A real headless Firefox, driven by the protocol that it speaks itself (Marionette): packets of
JSON behind their length, over TCP. Playwright drives only Firefoxes of its own."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from tests.web.browser import PATIENCE, installed

PROGRAMS = ("firefox-esr", "firefox")

_SECONDS = PATIENCE / 1000
_PAUSE = 0.1

_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
"""How WebDriver marks what stands for an element."""

# Nobody listens there, and loopback is reached without it.
_NOWHERE = {
    "network.proxy.type": 1,
    **{f"network.proxy.{kind}": "127.0.0.1" for kind in ("http", "ssl")},
    **{f"network.proxy.{kind}_port": 9 for kind in ("http", "ssl")},
}

_TOLD = """return Services.console.getMessageArray()
  .filter((each) => each instanceof Ci.nsIScriptError)
  .map(({ category, errorMessage, sourceName }) => [sourceName, `${category}: ${errorMessage}`])"""


class Firefox:
    """A window; what fails there raises ``RuntimeError``."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), 2 * _SECONDS)
        self._stream = self._socket.makefile("rb")
        self._numbers = count(1)
        self._receive()
        self._ask("WebDriver:NewSession")

    def open(self, url: str) -> None:
        """Go to an address, and wait until it is loaded."""
        self._ask("WebDriver:Navigate", url=url)

    def evaluate(self, script: str, *arguments: object) -> Any:
        """What the body of a function returns when the page calls it."""
        return self._ask("WebDriver:ExecuteScript", script=script, args=list(arguments))

    def until(self, script: str, *arguments: object) -> Any:
        """The same, once that is true."""
        end = time.monotonic() + 2 * _SECONDS
        while not (found := self.evaluate(script, *arguments)):
            assert time.monotonic() < end, f"in vain: {script}"
            time.sleep(_PAUSE)
        return found

    def click(self, selector: str) -> None:
        """Move the mouse over an element, and click."""
        self._ask("WebDriver:ElementClick", id=self._find(selector))

    def choose(self, selector: str, file: Path) -> None:
        """Choose a file in a field."""
        self._ask("WebDriver:ElementSendKeys", id=self._find(selector), text=str(file))

    def complaints(self, url: str) -> list[str]:
        """What the console holds of pages below an address: errors, warnings, and violations of
        their policy."""
        self._ask("Marionette:SetContext", value="chrome")
        told = self.evaluate(_TOLD)
        self._ask("Marionette:SetContext", value="content")
        return [words for source, words in told if source.startswith(url)]

    def close(self) -> None:
        """Say no more."""
        self._stream.close()
        self._socket.close()

    def _find(self, selector: str) -> str:
        found = self._ask("WebDriver:FindElement", using="css selector", value=selector)
        return str(found[_ELEMENT])

    def _ask(self, command: str, **fields: object) -> Any:
        packet = json.dumps([0, next(self._numbers), command, fields]).encode()
        self._socket.sendall(b"%d:%s" % (len(packet), packet))
        _, _, error, result = self._receive()
        if error:
            raise RuntimeError(f"{command}: {error['message']}")
        return result.get("value")

    def _receive(self) -> Any:
        length = b"".join(iter(lambda: self._stream.read(1).strip(b":"), b""))
        return json.loads(self._stream.read(int(length)))


@contextmanager
def firefox(folder: Path) -> Iterator[Firefox]:
    """A browser that reaches loopback alone, with its profile in a folder of its own."""
    path = installed(*PROGRAMS)
    settings = {"marionette.port": 0, **_NOWHERE}
    lines = [f"user_pref({json.dumps(name)}, {json.dumps(settings[name])});" for name in settings]
    (folder / "user.js").write_text("\n".join(lines))
    told = folder / "MarionetteActivePort"
    command = [path, "--headless", "--marionette", "--remote-allow-system-access"]
    with (folder / "log").open("wb") as log:
        running = subprocess.Popen(
            [*command, "--no-remote", "--profile", str(folder)],
            env=os.environ | {"HOME": str(folder)},
            stdout=log,
            stderr=log,
        )
    try:
        end = time.monotonic() + 2 * _SECONDS
        while not (told.exists() and told.read_text()):
            assert running.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < end, "Firefox does not come up"
            time.sleep(_PAUSE)
        window = Firefox(int(told.read_text()))
        yield window
        window.close()
    finally:
        running.terminate()
        running.wait()
