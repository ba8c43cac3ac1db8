"""A nursery that fails again and again is tried less and less, and nobody waits for it."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise

import pytest

from service import logs, tracing
from service.errors import ModelError, NotReady
from service.sandbox import nurse
from service.sandbox import workers as module
from service.sandbox.messages import Ready
from service.sandbox.workers import Workers
from tests import media
from tests.unit.sandbox.jobs import MEMORY, done
from tests.unit.sandbox.processes import descriptors, nursery_of, until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes in /proc")

PAUSES = (0.0, 0.1, 0.2, 0.4, 1.5)

_READY = Ready(detector="none", layers=()).model_dump_json().encode()
_SAY_READY = f"""
import socket
end = socket.socket(fileno=0)
end.recv(65536)
end.sendall({struct.pack(">II", len(_READY), 0) + _READY!r})
end.shutdown(socket.SHUT_WR)
end.recv(1)
"""


def launching(code: str, at: list[float]) -> Callable[[], tuple[object, socket.socket]]:
    """Starts a process that runs this in place of a nursery, and notes when."""

    def launch() -> tuple[object, socket.socket]:
        at.append(time.monotonic())
        control, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, "-I", "-S", "-c", code]
            return subprocess.Popen(command, stdin=theirs.fileno()), control

    return launch


@pytest.mark.parametrize("code", ["", _SAY_READY], ids=["cannot start", "ends at once"])
async def test_a_nursery_that_keeps_failing_is_tried_ever_less_often(
    code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PAUSES", PAUSES)
    workers, at = Workers(memory=MEMORY, cpu_seconds=9), list[float]()
    video = media.numbered_video(5)
    await workers.start()
    with monkeypatch.context() as broken:
        broken.setattr(nurse, "_launch", launching(code, at))
        os.kill(nursery_of(workers), signal.SIGKILL)
        await until(lambda: len(at) >= 5)
        gaps = [later - earlier for earlier, later in pairwise(at)]
        # The one that was killed had just been started, and so is the first that failed.
        for gap, pause in zip(gaps, [*PAUSES[2:], *[PAUSES[-1]] * 9], strict=False):
            assert gap >= pause
        await until(lambda: workers.missing)
        assert "the sandbox for videos" in workers.missing
        began = time.monotonic()
        with pytest.raises(NotReady) as refused:
            await done(workers, video)
        assert time.monotonic() - began < PAUSES[-1] / 2
        assert refused.value.detail == workers.missing
        assert refused.value.retry_after
    # It goes on trying, by itself.
    await until(lambda: workers._living and workers.detector == "mtcnn")
    assert not workers.missing
    assert (await done(workers, video))[1].frames_decoded == 5
    await workers.stop()


async def test_a_nursery_that_has_lived_was_none_that_failed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    workers = Workers(memory=MEMORY, cpu_seconds=9)
    await workers.start()
    for lived, failures in ((False, 1), (False, 2), (True, 0)):
        monkeypatch.setattr(module, "_SOUND_SECONDS", -1.0 if lived else 60.0)
        died = nursery_of(workers)
        os.kill(died, signal.SIGKILL)
        await until(lambda before=died: workers._living and nursery_of(workers) != before)
        assert workers._failures == failures
    await workers.stop()


async def test_stopping_ends_the_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    workers, at = Workers(memory=MEMORY, cpu_seconds=9), list[float]()
    await workers.start()
    monkeypatch.setattr(nurse, "_launch", launching("", at))
    os.kill(nursery_of(workers), signal.SIGKILL)
    await until(lambda: len(at) >= 2)
    await workers.stop()
    tried = len(at)
    await asyncio.sleep(1.0)
    assert len(at) == tried
    assert workers._renewal is None


@pytest.mark.parametrize("moments", range(6))
async def test_a_try_that_fails_while_all_stops_is_the_last(
    moments: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise ModelError("broken")

    monkeypatch.setattr(module.Nurse, "start", fail)
    workers = Workers(memory=MEMORY, cpu_seconds=9)
    workers._renew()
    for _ in range(moments):
        await asyncio.sleep(0)
    await workers.stop()
    await asyncio.sleep(0)
    assert workers._renewal is None


async def test_a_process_that_cannot_be_had_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    before = descriptors()
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(ModelError, match="cannot start") as raised:
        await Workers(memory=MEMORY, cpu_seconds=9).start()
    assert "nowhere" not in str(raised.value)
    assert descriptors() == before


async def test_what_a_nursery_says_is_of_no_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor what the next ones say, whoever asked for the first."""
    told, ids = io.StringIO(), list[tuple[str | None, str | None]]()

    async def fail(*_: object) -> None:
        ids.append((logs.request_id.get(), tracing.trace_id()))
        raise ModelError("broken")

    monkeypatch.setattr(module.Nurse, "start", fail)
    monkeypatch.setattr(module, "_PAUSES", (0.0, 0.0, 0.05))
    handler = logging.StreamHandler(told)
    handler.setFormatter(logs.JsonFormatter())
    monkeypatch.setattr(module._log, "handlers", [handler])
    workers = Workers(memory=MEMORY, cpu_seconds=9)
    logs.request_id.set("0123456789abcdef")
    with tracing.request(f"00-{'4b' * 16}-{'00f0' * 4}-01"):
        with pytest.raises(NotReady):
            await workers._child()
        await until(lambda: len(ids) >= 3)
        module._log.warning("here it is the request's")
    await workers.stop()
    assert set(ids) == {(None, None)}
    lines = [json.loads(line) for line in told.getvalue().splitlines()]
    nobodys = [line for line in lines if line["event"] == "sandbox failed"]
    (own,) = (line for line in lines if line["event"] == "here it is the request's")
    assert len(nobodys) >= 2
    assert not any({"request_id", "trace_id"} & line.keys() for line in nobodys)
    assert (own["request_id"], own["trace_id"]) == ("0123456789abcdef", "4b" * 16)
