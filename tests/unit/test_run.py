"""One detection: what it tells, when it ends, and that its own time alone is counted."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio

from service.assembly import Assembler
from service.clips import Clip
from service.engine import DetectionOptions, Event, Finished, Progress, SegmentScored
from service.errors import NotReady, TooSlow, Undecodable
from service.extraction import Extracted, Position, TrackBoxes
from service.registry import Panel, Registry
from service.report import Report
from service.run import Run
from service.settings import ModelSettings
from service.sources.source import Memory
from tests.onnx_models import brightness_model

MEDIA = Memory(b"video")
CLIPS = 20
"""Of one face: four seconds."""


@pytest_asyncio.fixture
async def panel(tmp_path: Path) -> AsyncIterator[Panel]:
    path = tmp_path / "brightness.onnx"
    path.write_bytes(brightness_model())
    registry = Registry(ModelSettings(path=path, batch=4), 2**30)
    await registry.load()
    yield registry.panel(None)
    await registry.close()


def clip(number: int, track: int = 1) -> Clip:
    pixels = np.full((5, 32, 32, 3), 10 * number, np.uint8)
    first = 5 * number
    times = first / 25, (first + 5) / 25
    return Clip(track, first, first + 4, *times, ((0.0, 0.0, 8.0, 8.0),) * 5, pixels)


def extracted(*tracks: int) -> Extracted:
    nothing = TrackBoxes(np.zeros(0, np.int32), np.zeros(0), np.zeros((0, 4), np.float32))
    return Extracted(
        container="mp4",
        codec="h264",
        width=320,
        height=240,
        fps=25.0,
        duration=4.0,
        range=(0.0, 4.0),
        seconds_missing=0.0,
        sampling="full",
        frames_in_video=100,
        frames_decoded=100,
        frames_damaged=0,
        frames_with_face=100,
        faces_dropped={},
        clips_dropped={},
        tracks_seen=len(tracks),
        tracks=dict.fromkeys(tracks, nothing),
    )


class Reading:
    """Gives what a video gives, the last of it when the gate is open; then it fails, if told so."""

    spent = 1.5

    def __init__(
        self,
        items: Sequence[Position | Clip | Extracted],
        *,
        gate: asyncio.Event | None = None,
        error: Exception | None = None,
    ) -> None:
        self._items, self._gate, self._error = items, gate, error
        self.ended = False

    async def __aiter__(self) -> AsyncIterator[Position | Clip | Extracted]:
        try:
            for number, item in enumerate(self._items, 1):
                if number == len(self._items) and self._gate is not None:
                    await self._gate.wait()
                yield item
                await asyncio.sleep(0)
            if self._error is not None:
                raise self._error
        finally:
            self.ended = True


def endless() -> Reading:
    """A video that is never read to its end."""
    return Reading(whole(), gate=asyncio.Event())


def whole() -> list[Position | Clip | Extracted]:
    """A video of one face."""
    items: list[Position | Clip | Extracted] = []
    for number in range(CLIPS):
        items += [Position(number / 5, 4.0), clip(number)]
    return [*items, extracted(1)]


def run_on(panel: Panel, seconds: float = 60.0, **options: object) -> Run:
    asked = DetectionOptions(**options)  # type: ignore[arg-type]
    assembler = Assembler(panel, "detector", asked)
    return Run(panel, assembler, explain=asked.explain, seconds=seconds)


async def events(run: Run, reading: Reading) -> list[Event]:
    with run:
        return [event async for event in run.events(reading, MEDIA, 0.25)]


def report_of(told: Sequence[Event]) -> Report:
    assert isinstance(told[-1], Finished)
    return told[-1].report


def device_of(panel: Panel) -> asyncio.Lock:
    """Who holds it keeps the network from scoring."""
    return panel.members[0].batcher._device.turn()


def nothing_is_left(panel: Panel) -> bool:
    batcher = panel.members[0].batcher
    return not batcher.lanes and not batcher.pending


async def test_every_clip_is_scored_and_every_segment_told_once(panel: Panel) -> None:
    run = run_on(panel)
    told = await events(run, Reading(whole()))
    report = report_of(told)
    (face,) = report.faces
    assert report.coverage.clips_scored == CLIPS
    assert run.read
    segments = [event for event in told if isinstance(event, SegmentScored)]
    assert tuple(event.segment for event in segments) == face.segments
    assert {event.face for event in segments} == {face.id}
    assert [segment.start for segment in face.segments] == [0.0, 1.0, 2.0, 3.0]
    expected = [np.mean([10 * (5 * n + k) / 255 for k in range(5)]) for n in range(4)]
    assert [segment.score for segment in face.segments] == pytest.approx(expected, abs=1e-5)
    progress = [event for event in told if isinstance(event, Progress)]
    assert [event.position for event in progress] == sorted(event.position for event in progress)
    assert [event.clips for event in progress] == sorted(event.clips for event in progress)
    assert (report.timing.queued, report.timing.extract) == (0.25, 1.5)
    assert report.timing.total > 0.25


async def test_segments_are_told_while_the_video_is_read(panel: Panel) -> None:
    run, reading = run_on(panel), endless()
    told = 0
    with run:
        async for event in run.events(reading, MEDIA, 0.0):
            told += isinstance(event, SegmentScored)
            # The last one may still grow.
            if told == 3:
                break
    assert not run.read


async def test_a_video_without_a_clip_has_a_report(panel: Panel) -> None:
    told = await events(run_on(panel), Reading([Position(0.0, 4.0), extracted()]))
    assert report_of(told).verdict == "no_face"


async def test_only_the_newest_position_is_news(panel: Panel) -> None:
    class Hasty(Reading):
        async def __aiter__(self) -> AsyncIterator[Position | Clip | Extracted]:
            for item in self._items:
                yield item

    told = await events(
        run_on(panel), Hasty([*(Position(n / 1000, 4.0) for n in range(4000)), extracted()])
    )
    progress = [event.position for event in told if isinstance(event, Progress)]
    assert progress[-1] == 3.999
    assert len(progress) < 10


async def test_what_goes_wrong_with_reading_ends_it(panel: Panel) -> None:
    with pytest.raises(Undecodable, match="damaged"):
        await events(run_on(panel), Reading([clip(0)], error=Undecodable("damaged")))
    assert nothing_is_left(panel)


async def test_what_goes_wrong_with_scoring_ends_it(
    panel: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise NotReady("no memory")

    monkeypatch.setattr(panel.members[0].classifier, "score", fail)
    reading = endless()
    with pytest.raises(NotReady, match="no memory"):
        await events(run_on(panel), reading)
    assert reading.ended
    assert nothing_is_left(panel)


async def test_who_leaves_early_leaves_nothing_behind(panel: Panel) -> None:
    reading, run = endless(), run_on(panel)
    async with device_of(panel):
        with run:
            told = run.events(reading, MEDIA, 0.0)
            await anext(told)
            await told.aclose()  # type: ignore[attr-defined]
        assert reading.ended
        assert nothing_is_left(panel)


@pytest.mark.parametrize("busy", [False, True], ids=["read", "scored"])
async def test_it_ends_when_it_has_taken_too_long(panel: Panel, busy: bool) -> None:
    reading = Reading(whole()) if busy else endless()
    began = time.monotonic()
    async with device_of(panel) if busy else contextlib.nullcontext():
        with pytest.raises(TooSlow):
            await events(run_on(panel, seconds=0.3), reading)
    assert 0.3 <= time.monotonic() - began < 5
    assert reading.ended
    assert nothing_is_left(panel)


async def test_time_in_which_it_is_halted_does_not_count(panel: Panel) -> None:
    gate = asyncio.Event()
    run = run_on(panel, seconds=0.5)
    running = asyncio.create_task(events(run, Reading(whole(), gate=gate)))
    run.halt()
    await asyncio.sleep(0.8)
    assert not running.done()
    run.go_on()
    run.go_on()
    gate.set()
    report = report_of(await running)
    assert 0.8 <= report.timing.halted < report.timing.total


async def test_what_is_left_of_its_time_is_counted_when_it_goes_on(panel: Panel) -> None:
    began = time.monotonic()
    run = run_on(panel, seconds=0.4)
    running = asyncio.create_task(events(run, endless()))
    await asyncio.sleep(0.2)
    run.halt()
    await asyncio.sleep(0.5)
    run.go_on()
    with pytest.raises(TooSlow):
        await running
    assert 0.9 <= time.monotonic() - began < 5


@pytest.mark.parametrize("halted", [False, True])
async def test_it_can_be_ended_at_any_time(panel: Panel, halted: bool) -> None:
    run, reading = run_on(panel), endless()
    running = asyncio.create_task(events(run, reading))
    if halted:
        run.halt()
    await asyncio.sleep(0.05)
    run.abort(NotReady("stopping"))
    async with asyncio.timeout(5):
        with pytest.raises(NotReady, match="stopping"):
            await running
    assert reading.ended
    assert nothing_is_left(panel)


async def test_its_clips_expire_with_it_but_not_while_it_is_halted(panel: Panel) -> None:
    with (run := run_on(panel, seconds=0.1)):
        (lane,) = panel.members[0].batcher.lanes
        assert not lane.expired()
        run.halt()
        await asyncio.sleep(0.2)
        assert not lane.expired()
        run.go_on()
        assert not lane.expired()
        await asyncio.sleep(0.2)
        assert lane.expired()


async def test_time_in_which_reading_waits_for_the_device_is_told(panel: Panel) -> None:
    reading, run = Reading(whole()), run_on(panel)
    async with device_of(panel):
        running = asyncio.create_task(events(run, reading))
        await asyncio.sleep(0.5)
        # What is read waits in a lane that is full.
        assert 0 < panel.members[0].batcher.pending < CLIPS
    assert 0.3 < report_of(await running).timing.held_back < 5
