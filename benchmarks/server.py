"""Servers for the time of a block, this project's and others."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from service.registry import BUILT_IN_MODEL
from tests.security.server_process import REPOSITORY, free_port

START = 180.0


@dataclass(frozen=True)
class Server:
    """A running server; ``ready`` is after how many seconds it was."""

    url: str
    pid: int
    ready: float


@contextmanager
def service(**settings: object) -> Iterator[Server]:
    """This project's, ready; ``settings`` such as ``MODEL__PATH`` without their prefix.

    With the model in the box, and all places for one caller: the clients of a benchmark stand for
    many and have one address.
    """
    chosen = {"MODEL__PATH": BUILT_IN_MODEL, "LIMITS__CALLER_SHARE": "1", **settings}
    port = free_port()
    command = [sys.executable, "-m", "service", "serve", "--port", str(port)]
    environment = {f"DEEPFAKE_{name}": str(value) for name, value in chosen.items()}
    with program(command, port, "/v2/health/ready", environment) as server:
        yield server


@contextmanager
def program(
    command: Sequence[str], port: int, ready: str, environment: Mapping[str, str]
) -> Iterator[Server]:
    """Any server on a port of 127.0.0.1, once its path ``ready`` answers 200; it ends with all that
    it has started. Raises ``RuntimeError`` with its last words where it does not start."""
    url, began = f"http://127.0.0.1:{port}", time.monotonic()
    with TemporaryDirectory(prefix="bench", ignore_cleanup_errors=True) as folder:
        running = subprocess.Popen(
            list(command),
            cwd=folder,
            env={
                **os.environ,
                "PYTHONPATH": str(REPOSITORY),
                "TMPDIR": folder,
                "HOME": folder,
                **environment,
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        words: deque[str] = deque(maxlen=20)
        reader = threading.Thread(target=_read, args=(running, words), daemon=True)
        reader.start()
        try:
            while not _answers(url + ready):
                if running.poll() is not None or time.monotonic() - began > START:
                    raise RuntimeError(f"{Path(command[0]).name} did not start: {' '.join(words)}")
                time.sleep(0.02)
            yield Server(url, running.pid, time.monotonic() - began)
        finally:
            _end(running)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=30).status_code == 200
    except httpx.TransportError:
        return False


def _read(running: subprocess.Popen[bytes], words: deque[str]) -> None:
    # A pipe that nobody reads would stop the server once it is full.
    assert running.stdout is not None
    with running.stdout as lines:
        words.extend(line.decode(errors="replace").strip() for line in lines)


def _end(running: subprocess.Popen[bytes]) -> None:
    running.terminate()
    with suppress(subprocess.TimeoutExpired):
        running.wait(15)
    # Whoever is left of those it has started is in the session that was made for it.
    with suppress(ProcessLookupError):
        os.killpg(running.pid, signal.SIGKILL)
    running.wait()
