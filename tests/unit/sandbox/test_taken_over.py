"""A child that somebody has taken over can say what it likes: its request fails, no more."""

from __future__ import annotations

import asyncio
import json
import pickle
import socket
import struct
import threading
import time
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.clips import Clip, ClipSpec
from service.errors import OverLimits, ServiceError, TooSlow, WorkerLost
from service.extraction import Extracted, ExtractionLimits
from service.sandbox.extraction import Extraction
from service.sandbox.nurse import Child
from service.sandbox.wire import Channel
from service.sources.source import Memory
from service.video.video import VideoLimits
from tests.unit.sandbox.jobs import JOB, SPEC

REACHED = {"kind": "reached", "time": 0.0, "duration": 2.0, "frames": 5}
CUT = {
    "kind": "cut", "track": 0, "spec": 0, "first_frame": 0, "last_frame": 4, "start": 0, "end": 0.2,
}  # fmt: skip
CLIP_BYTES = 5 * (4 * 8 + 48 * 48 * 3)
DONE = {
    "kind": "done", "container": "mov", "codec": "h264", "width": 96, "height": 64, "fps": 25,
    "duration": 2.0, "since": 0.0, "until": 2.0, "seconds_missing": 0.0, "sampling": "full",
    "frames_in_video": 50, "frames_decoded": 50, "frames_damaged": 0, "frames_with_face": 5,
    "faces_dropped": {"too_small": 3}, "clips_dropped": {}, "tracks_seen": 2, "tracks": 1,
}  # fmt: skip
TRACK = np.array([[0, 2]], "i4").tobytes() + np.array([0, 1], "i4").tobytes() + bytes(16 + 32)


def message(head: object, body: bytes = b"", claimed: int | None = None) -> bytes:
    encoded = head if isinstance(head, bytes) else json.dumps(head).encode()
    size = len(body) if claimed is None else claimed
    return struct.pack(">II", len(encoded), size) + encoded + body


@dataclass
class FakeNurse:
    """Notes what is asked of it; its child ends when it is killed."""

    distrusted: int = 0
    end: asyncio.Future[int | None] | None = None
    sent: list[int] = field(default_factory=list)

    def distrust(self) -> None:
        self.distrusted += 1

    def signal(self, number: int, sent: int) -> None:
        self.sent.append(sent)
        if self.end is not None and not self.end.done():
            self.end.set_result(-9)


class Puppet:
    """The other end of an extraction, in the hands of a test."""

    def __init__(self) -> None:
        self.nurse = FakeNurse()
        self.ours, self.theirs = socket.socketpair()
        self.theirs.setblocking(False)

    async def child(self) -> Child:
        self.nurse.end = asyncio.get_running_loop().create_future()
        return Child(self.nurse, 1, Channel(self.ours), self.nurse.end)  # type: ignore[arg-type]

    async def hears(self, said: bytes, job: object = JOB) -> list[object]:
        """What an extraction makes of these bytes, after which the child closes its end."""
        extraction = Extraction(self.child, Memory(bytes(5000)), job)  # type: ignore[arg-type]
        loop = asyncio.get_running_loop()
        async with extraction:
            talking = asyncio.create_task(self._say(loop, said))
            try:
                return [item async for item in extraction]
            finally:
                talking.cancel()
                await asyncio.wait([talking])

    async def _say(self, loop: asyncio.AbstractEventLoop, said: bytes) -> None:
        await loop.sock_sendall(self.theirs, said)
        self.theirs.shutdown(socket.SHUT_WR)
        assert self.nurse.end is not None
        if not self.nurse.end.done():
            self.nurse.end.set_result(1)


@pytest_asyncio.fixture
async def puppet() -> AsyncIterator[Puppet]:
    made = Puppet()
    yield made
    made.ours.close()
    made.theirs.close()


async def test_a_child_that_keeps_to_the_rules_is_heard(puppet: Puppet) -> None:
    said = message(REACHED) + message(CUT, bytes(CLIP_BYTES)) + message(DONE, TRACK)
    _, clip, summary = await puppet.hears(said)
    assert isinstance(clip, Clip)
    assert clip.pixels.shape == (5, 48, 48, 3)
    assert isinstance(summary, Extracted)
    assert summary.tracks[0].frames.tolist() == [0, 1]
    assert puppet.nurse.distrusted == 0


CLIP = message(CUT, bytes(CLIP_BYTES))


def refused(body: bytes = b"", **changes: object) -> bytes:
    return message({"kind": "refused", "code": "no_video", "detail": "x"} | changes, body)


def read(offset: object, size: object) -> bytes:
    return message({"kind": "read", "offset": offset, "size": size})


def cut(**changes: object) -> bytes:
    return message(CUT | changes, bytes(CLIP_BYTES))


def end(body: bytes = TRACK, **changes: object) -> bytes:
    return CLIP + message(DONE | changes, body)


def table(*rows: tuple[int, int]) -> bytes:
    return np.array(rows, "i4").tobytes()


FORBIDDEN = {
    "garbage": b"\xff" * 100,
    "a head of 4 GB": struct.pack(">II", 2**32 - 1, 0),
    "a head just too long": struct.pack(">II", 2**16 + 1, 0),
    "no kind": message(b"{}"),
    "deep nesting": message(b"[" * 60_000),
    "pickle": message(pickle.dumps(ServiceError("boo"))),
    "the nursery's word": message({"kind": "ended", "number": 1, "code": 0}),
    "a code that is not its": refused(code="internal"),
    "a long detail": refused(detail="x" * 301),
    "lines in a detail": refused(detail="a\nb"),
    "a detail with a body": refused(b"x"),
    "reading before the start": read(-1, 5),
    "reading nothing": read(0, 0),
    "reading too much": read(0, 2**20 + 1),
    "a number as text": read(0, "5"),
    "no number": message(b'{"kind":"reached","time":NaN,"duration":1,"frames":5}'),
    "infinite": message(b'{"kind":"reached","time":1e999,"duration":1,"frames":5}'),
    "a position with a body": message(REACHED, b"x"),
    "pixels of 4 GB": message(CUT, claimed=2**32 - 1),
    "too few pixels": message(CUT, bytes(CLIP_BYTES - 1)),
    "too many pixels": message(CUT, bytes(CLIP_BYTES + 1)),
    "a spec nobody gave": cut(spec=1),
    "too many frames": cut(last_frame=5),
    "frames before the first": cut(first_frame=-1, last_frame=3),
    "a huge track": cut(track=2**31),
    "an end before the start": cut(start=1.0, end=0.5),
    "more than asked": cut(extra=1),
    "boxes that are no numbers": message(CUT, b"\xff" * CLIP_BYTES),
    "more clips than allowed": CLIP * 5,
    "more positions than frames": message(REACHED) * 9,
    "boxes of 1 GB": message(DONE, claimed=2**30),
    "tracks without end": end(tracks=2**31 - 1),
    "no table": end(b""),
    "a table that promises too much": end(table((0, 2**31 - 1))),
    "a negative count": end(table((0, -1))),
    "a negative track": end(table((-1, 0))),
    "a track twice": cut(track=1) + end(table((1, 0), (1, 0)), tracks=2),
    "a clip without its track": end(table((1, 0))),
    "a track without a clip": end(table((0, 0), (1, 0)), tracks=2),
    "more tracks than it saw": end(table((0, 0)), tracks_seen=0),
    "a byte too many": end(TRACK + b"x"),
    "boxes without numbers": end(table((0, 1)) + b"\xff" * 28),
    "a codec with lines": end(codec="h264\n"),
    "a long codec": end(codec="x" * 65),
    "negative rate": end(fps=-1),
    "a range turned round": end(since=2, until=1),
    "a reason in code": end(faces_dropped={"A<script>": 1}),
    "many reasons": end(faces_dropped={f"r{'x' * n}": 1 for n in range(39)}),
    "negative counts": end(clips_dropped={"a": -1}),
}


@pytest.mark.parametrize("said", FORBIDDEN.values(), ids=FORBIDDEN)
async def test_what_may_not_be_said_loses_the_child(puppet: Puppet, said: bytes) -> None:
    job = replace(JOB, limits=ExtractionLimits(VideoLimits(frames=8), clips=4))
    tracemalloc.start()
    with pytest.raises(WorkerLost) as raised:
        await puppet.hears(said, job)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert raised.value.detail == "the process that read the video ended unexpectedly"
    assert puppet.nurse.distrusted == 1, "its kin share its addresses"
    assert puppet.nurse.sent == [9]
    assert peak < 2 * 2**20 + 2 * len(said)


async def test_silence_and_half_a_message_are_no_crime_but_the_end(puppet: Puppet) -> None:
    with pytest.raises(WorkerLost):
        await puppet.hears(CLIP[:-1])
    assert puppet.nurse.distrusted == 0


async def test_reading_beyond_the_end_gives_nothing(puppet: Puppet) -> None:
    said = read(4999, 100)
    with pytest.raises(WorkerLost):
        await puppet.hears(said + read(2**62, 100))
    heard = b""
    while len(heard) < 8 or not heard.endswith(struct.pack(">II", 0, 0)):
        heard += puppet.theirs.recv(4096)
    assert heard.endswith(struct.pack(">II", 0, 1) + b"\0" + struct.pack(">II", 0, 0))


async def test_asking_without_end_is_too_slow(puppet: Puppet) -> None:
    extraction = Extraction(puppet.child, Memory(bytes(5000)), replace(JOB, seconds=0.3))
    loop = asyncio.get_running_loop()

    async def pester() -> None:
        said = read(0, 100)
        while True:
            await loop.sock_sendall(puppet.theirs, said)
            await loop.sock_recv(puppet.theirs, 2**16)

    async with extraction:
        pestering = asyncio.create_task(pester())
        with pytest.raises(TooSlow):
            async for _ in extraction:
                pass
        pestering.cancel()
        await asyncio.wait([pestering])


async def test_a_child_without_memory_for_words_is_over_the_limits(puppet: Puppet) -> None:
    async with Extraction(puppet.child, Memory(b""), JOB) as extraction:
        puppet.theirs.shutdown(socket.SHUT_RDWR)
        assert puppet.nurse.end is not None
        puppet.nurse.end.set_result(3)
        with pytest.raises(OverLimits):
            await anext(extraction)


@given(said=st.binary(max_size=200) | st.builds(message, st.dictionaries(st.text(), st.integers())))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_is_said_no_other_error_comes(said: bytes) -> None:
    async def hear() -> None:
        puppet = Puppet()
        with pytest.raises(WorkerLost):
            await puppet.hears(said)
        puppet.ours.close()
        puppet.theirs.close()

    asyncio.run(hear())


async def test_clips_are_counted_by_spec(puppet: Puppet) -> None:
    single = ClipSpec(1, 8, 8, 1.0, "clip")
    job = replace(JOB, specs=(SPEC, single), limits=ExtractionLimits(clips=1))
    one = message(CUT | {"spec": 1, "last_frame": 0}, bytes(32 + 8 * 8 * 3))
    assert len(await puppet.hears(CLIP + one * 5 + message(DONE, TRACK), job)) == 7
    other = Puppet()
    with pytest.raises(WorkerLost):
        await other.hears(CLIP + one * 6 + message(DONE, TRACK), job)
    other.ours.close()
    other.theirs.close()


async def test_boxes_that_nobody_asked_for_lose_the_child(puppet: Puppet) -> None:
    with pytest.raises(WorkerLost):
        await puppet.hears(end(), replace(JOB, boxes=False))


@pytest.mark.parametrize(("seconds", "error"), [(0.5, TooSlow), (60.0, WorkerLost)])
async def test_a_child_that_never_stops_asking_keeps_nobody_waiting(
    puppet: Puppet, seconds: float, error: type[ServiceError]
) -> None:
    puppet.theirs.setblocking(True)
    asking = threading.Thread(target=_ask, args=(puppet.theirs,), daemon=True)
    asking.start()
    longest, last = 0.0, time.monotonic()

    async def tick() -> None:
        nonlocal longest, last
        while True:
            await asyncio.sleep(0.01)
            longest, last = max(longest, time.monotonic() - last), time.monotonic()

    ticking = asyncio.create_task(tick())
    job = replace(JOB, seconds=seconds)
    with pytest.raises(error):
        async with Extraction(puppet.child, Memory(bytes(5000)), job) as extraction:
            await anext(extraction)
    ticking.cancel()
    assert longest < seconds
    puppet.ours.close()
    asking.join(10)


def _ask(end: socket.socket) -> None:
    """For one byte, again and again, as fast as answers are taken."""
    with suppress(OSError):
        while True:
            end.sendall(read(0, 1) * 100)
            end.recv(2**20)
