"""Hostile media end with what is said of each, open nothing and take no more than they may."""

from __future__ import annotations

import asyncio
import io
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
import pytest_asyncio

from service.clips import Clip
from service.errors import OverLimits, ServiceError, Undecodable
from service.extraction import Extracted
from service.sandbox.workers import Workers
from service.sources.source import Memory
from service.video.video import VideoLimits
from tests import media
from tests.security import hostile_media
from tests.security.bait import Planted, canary_at_a_port
from tests.security.hostile_media import REPORT, SAMPLES, Sample
from tests.unit.sandbox.jobs import JOB, MEMORY, done
from tests.unit.sandbox.processes import (
    children_of,
    nursery_of,
    peak_memory,
    processor_seconds,
    resident,
)

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(sys.platform != "linux", reason="looks at processes in /proc"),
]

MOST_SECONDS = 3.0
"""Of processor time for one sample; what is measured is not the time others take."""
MOST_RESIDENT = 3 * 2**29
MOST_GROWTH = 50 * 2**20


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def workers() -> AsyncIterator[Workers]:
    made = Workers(memory=MEMORY, cpu_seconds=60)
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
def planted(tmp_path: Path) -> Iterator[Planted]:
    with closing(Planted(tmp_path / "planted.mp4")) as made:
        yield made


SCRIPTS = tuple(hostile_media.scripts(Path("/planted"), 1))


@pytest.mark.parametrize("name", SCRIPTS)
async def test_a_script_is_refused_and_opens_nothing(
    workers: Workers, planted: Planted, name: str
) -> None:
    async with canary_at_a_port() as canary:
        data = hostile_media.scripts(planted.path, canary.port)[name]
        with pytest.raises(Undecodable) as raised:
            await done(workers, data)
        assert not await canary.sang()
    assert not planted.opened()
    for word in ("127.0.0.1", "planted", "http", str(planted.path.parent)):
        assert word not in raised.value.detail


@pytest.mark.parametrize("name", ["hls url", "hls master", "ffconcat file", "dref"])
async def test_the_same_bytes_opened_carelessly_do_open_something(
    planted: Planted, name: str
) -> None:
    """Else the test above would prove nothing."""

    def careless(data: bytes) -> None:
        options = {
            "protocol_whitelist": "file,http,tcp,crypto,data",
            "safe": "0",
            "enable_drefs": "1",
            "use_absolute_path": "1",
            "allowed_extensions": "ALL",
            "extension_picky": "0",
        }
        named = io.BytesIO(data)
        named.name = "list.m3u8" if name.startswith("hls") else "video.mp4"
        with suppress(av.FFmpegError), av.open(named, options=options) as container:
            next(container.decode(video=0), None)

    async with canary_at_a_port() as canary:
        data = hostile_media.scripts(planted.path, canary.port)[name]
        await asyncio.to_thread(careless, data)
        assert await canary.sang() or planted.opened()


@pytest.mark.parametrize("name", SAMPLES)
async def test_a_sample_ends_as_it_should(workers: Workers, name: str) -> None:
    sample: Sample = SAMPLES[name]
    data = await asyncio.to_thread(sample.make)
    nursery = nursery_of(workers)
    before, used = resident(os.getpid()), processor_seconds(nursery)
    peak = 0

    async def watch() -> None:
        nonlocal peak
        while True:
            peak = max([peak, *map(peak_memory, children_of(nursery))])
            await asyncio.sleep(0.005)

    watching = asyncio.create_task(watch())
    clips: list[Clip] = []
    summary: Extracted | None = None
    try:
        clips, summary, _ = await done(workers, data)
        outcome = REPORT
    except ServiceError as error:
        outcome = error.code
    finally:
        watching.cancel()
    growth, used = resident(os.getpid()) - before, processor_seconds(nursery) - used
    print(f"{name}: {outcome}, {used:.2f} s, child {peak >> 20} MB, parent +{growth >> 20} MB")
    assert outcome in sample.outcomes
    if sample.frames is not None:
        assert summary is not None
        assert summary.frames_decoded == sample.frames
    if sample.clips is not None:
        assert len(clips) == sample.clips
    assert used < MOST_SECONDS
    assert peak < MOST_RESIDENT
    assert growth < MOST_GROWTH
    assert nursery_of(workers) == nursery, "nothing crashed"


async def test_opening_takes_no_longer_than_it_may() -> None:
    """However many samples a kilobyte announces, and however much memory there is for them."""
    data = hostile_media.sample_count_bomb(80_000_000)
    workers = Workers(memory=8 * 2**30, cpu_seconds=60)
    await workers.start()
    used = processor_seconds(nursery_of(workers))
    with pytest.raises(OverLimits, match="opening"):
        await done(workers, data)
    assert processor_seconds(nursery_of(workers)) - used < MOST_SECONDS
    assert workers.restarts == 0, "using too much is no crash"
    await workers.stop()


async def test_hours_of_video_are_opened(workers: Workers) -> None:
    data = await asyncio.to_thread(hostile_media.hours, 3)
    limits = replace(JOB.limits, video=VideoLimits(duration=20_000, frames=10**6))
    _, summary, _ = await done(workers, data, limits=limits, end=1.0)
    assert summary.duration == pytest.approx(3 * 3600, abs=1)
    assert summary.frames_decoded == 60


async def test_more_memory_than_there_is_is_over_the_limits() -> None:
    data = hostile_media.coded(
        hostile_media.flat(4096, 2304, 30),
        "libx264",
        pixels="yuv444p10le",
        options={"preset": "ultrafast", "refs": "16"},
    )
    workers = Workers(memory=600 * 2**20, cpu_seconds=60)
    await workers.start()
    with pytest.raises(OverLimits, match="memory"):
        await done(workers, data)
    assert (await done(workers, media.numbered_video(5)))[1].frames_decoded == 5
    await workers.stop()


async def test_a_turned_video_gives_what_the_upright_one_gives(workers: Workers) -> None:
    frames = media.group_frames(10)
    lossless = {"codec": "libx264rgb", "pixel_format": "rgb24", "options": {"crf": "0"}}
    upright = media.encode_video(frames, **lossless)  # type: ignore[arg-type]
    lying = [np.ascontiguousarray(np.rot90(frame)) for frame in frames]
    matrix = (0, 1, -1, 0)
    turned = hostile_media.turned(media.encode_video(lying, **lossless), *matrix)  # type: ignore[arg-type]
    clips, summary, _ = await done(workers, upright)
    same, described, _ = await done(workers, turned)
    assert len(clips) == 12
    assert (summary.width, summary.height) == (described.width, described.height)
    for one, other in zip(clips, same, strict=True):
        np.testing.assert_array_equal(one.pixels, other.pixels)
        assert one.boxes == other.boxes
        assert replace(one, pixels=other.pixels) == other
    for number, track in summary.tracks.items():
        np.testing.assert_array_equal(track.boxes, described.tracks[number].boxes)


async def test_a_good_video_is_read_while_bad_ones_are(workers: Workers) -> None:
    bad = [SAMPLES[name].make() for name in ("spoiled", "16K", "sample bomb, 2 GB", "one byte")]

    async def outcome(data: bytes) -> object:
        with suppress(ServiceError):
            return len((await done(workers, data))[0])
        return None

    good = media.group_video(10)
    alone = await outcome(good)
    assert alone == 12
    together = await asyncio.gather(*map(outcome, [good, *bad, good]))
    assert (together[0], together[-1]) == (alone, alone)


async def test_what_is_left_unread_costs_the_parent_nothing(workers: Workers) -> None:
    """A child that is ahead of who takes its clips waits; they do not pile up in the parent."""
    video = media.group_video(20)
    before = resident(os.getpid())
    job = replace(JOB, specs=(replace(JOB.specs[0], height=240, width=240),))
    async with workers.extract(Memory(video), job) as extraction:
        await anext(extraction)
        await asyncio.sleep(2)
        assert resident(os.getpid()) - before < 10 * 2**20
        assert len([item async for item in extraction if isinstance(item, Clip)]) == 24
