"""Batches: fair between videos, bounded in clips, rid of what nobody waits for."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

from service.batching.batcher import Batcher, Lane, Scored, bucket
from service.batching.device import Device
from service.batching.room import ALWAYS, Room
from service.classifier.classifier import Classifier, ClipScores
from service.clips import Clip
from service.errors import NotReady, ServiceError, TooSlow
from service.runtime import ORT_ERRORS
from tests.onnx_models import brightness_model


class Recorder:
    """The brightness network, whose batches are held until the test lets them go, and recorded by
    the track of each clip, which stands for a video."""

    def __init__(self) -> None:
        self._network = Classifier(brightness_model())
        self.contract = self._network.contract
        self.gate = threading.Semaphore(0)
        self.sizes: list[int] = []
        self.tried: list[int] = []
        self.fail: Callable[[int], Exception | None] = lambda size: None

    def score(self, pixels: NDArray[np.uint8], *, cam: bool = False) -> ClipScores:
        assert self.gate.acquire(timeout=20)
        self.tried.append(len(pixels))
        error = self.fail(len(pixels))
        if error is not None:
            self.gate.release()
            raise error
        self.sizes.append(len(pixels))
        return self._network.score(pixels, cam=cam)


class Inbox:
    """What one video's lane delivers."""

    def __init__(self) -> None:
        self.scored: list[Scored] = []
        self.batches: list[int] = []
        self.error: ServiceError | None = None

    def __call__(self, news: Sequence[Scored] | ServiceError) -> None:
        if isinstance(news, ServiceError):
            self.error = news
        else:
            self.scored += news
            self.batches.append(len(news))


def clip(track: int, frame: int, brightness: int = 0) -> Clip:
    pixels = np.full((5, 32, 32, 3), brightness, np.uint8)
    return Clip(track, frame, frame + 4, frame / 25, frame / 25 + 0.2, ((0, 0, 1, 1),) * 5, pixels)


@asynccontextmanager
async def batching(
    network: object, batch: int = 4, device: Device | None = None, room: Room | None = None
) -> AsyncIterator[Batcher]:
    own = device or Device("test")
    room = room or Room(2**30)
    batcher = Batcher(network, own, room, batch=batch)  # type: ignore[arg-type]
    try:
        yield batcher
    finally:
        if isinstance(network, Recorder):
            network.gate.release(1000)
        await batcher.stop()
        await own.close()


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def fill(lane: Lane, track: int, count: int) -> None:
    for number in range(count):
        await lane.submit(clip(track, 5 * number, track))


async def test_a_short_video_does_not_wait_for_a_long_one() -> None:
    network = Recorder()
    long, short = Inbox(), Inbox()
    async with batching(network, batch=4) as batcher:
        with batcher.lane(long) as first, batcher.lane(short) as second:
            filling = asyncio.create_task(fill(first, 1, 400))
            await until(lambda: batcher.pending >= 4)
            await fill(second, 2, 3)
            batches = 0
            while len(short.scored) < 3:
                network.gate.release()
                batches += 1
                await until(lambda done=batches: len(network.sizes) == done)
                await asyncio.sleep(0.01)
                # ceil(3 clips * 2 lanes / 4) + 1, of which one was under way.
                assert batches <= 3
            assert len(long.scored) > 0
            filling.cancel()


async def test_each_lane_gets_the_same_share_of_a_batch() -> None:
    network = Recorder()
    boxes = [Inbox() for _ in range(4)]
    async with batching(network, batch=8) as batcher:
        lanes = [batcher.lane(box) for box in boxes]
        for lane in lanes:
            lane.__enter__()
        for number, lane in enumerate(lanes):
            await fill(lane, number, 8)
        network.gate.release(6)
        await until(lambda: sum(len(box.scored) for box in boxes) == 32)
        for lane in lanes:
            lane.__exit__(None, None, None)
    # The first batch may go out before all lanes are filled.
    shared = [box.batches[-2:] for box in boxes]
    assert shared == [[2, 2]] * 4


async def test_a_lane_holds_back_who_fills_it() -> None:
    network = Recorder()
    async with batching(network, batch=4) as batcher:
        with batcher.lane(Inbox()) as lane:
            filling = asyncio.create_task(fill(lane, 1, 100))
            await until(lambda: batcher.pending >= 4)
            await asyncio.sleep(0.05)
            assert batcher.pending <= batcher.ahead
            assert not filling.done()
            network.gate.release(200)
            await filling


async def test_all_lanes_together_hold_no_more_than_there_is_room_for() -> None:
    networks, boxes, most = [Recorder(), Recorder()], [Inbox() for _ in range(6)], 10
    room, device = Room(most * clip(0, 0).pixels.nbytes), Device("shared")
    async with (
        batching(networks[0], room=room, device=device) as one,
        batching(networks[1], room=room, device=device) as other,
    ):
        lanes = [(one, other)[number % 2].lane(box) for number, box in enumerate(boxes)]
        for lane in lanes:
            lane.__enter__()
        filling = [asyncio.create_task(fill(lane, n, 40)) for n, lane in enumerate(lanes)]
        waited = 0
        for turn in range(4):
            # All but the batch that is on the device, whose clips are held as well.
            await until(lambda: one.pending + other.pending >= most - 4)
            await asyncio.sleep(0.02)
            waited = max(waited, one.pending + other.pending)
            networks[turn % 2].gate.release()
        assert waited <= most + len(lanes) * ALWAYS
        for network in networks:
            network.gate.release(1000)
        await until(lambda: all(len(box.scored) == 40 for box in boxes))
        await asyncio.gather(*filling)
        for lane in lanes:
            lane.__exit__(None, None, None)
        assert room.fits(most * clip(0, 0).pixels.nbytes), "all was given back"


async def test_where_others_have_taken_all_room_a_lane_has_its_few() -> None:
    network, room = Recorder(), Room(4 * clip(0, 0).pixels.nbytes)
    greedy, late = Inbox(), Inbox()
    async with batching(network, room=room) as batcher:
        with batcher.lane(greedy) as first:
            filling = asyncio.create_task(fill(first, 1, 1000))
            await until(lambda: not room.fits(1))
            with batcher.lane(late) as second:
                # It must not wait, though nothing is scored.
                await asyncio.wait_for(fill(second, 2, ALWAYS), 5)
                more = asyncio.create_task(fill(second, 2, 10))
                await asyncio.sleep(0.02)
                assert not more.done()
                batches = 0
                while len(late.scored) < ALWAYS + 10:
                    network.gate.release()
                    batches += 1
                    await until(lambda done=batches: len(network.sizes) == done)
                    await asyncio.sleep(0.01)
                assert batches <= ALWAYS + 10
            filling.cancel()


@pytest.mark.parametrize("how", ["closed", "expired"])
async def test_clips_that_are_dropped_leave_their_room(how: str) -> None:
    network, room, size = Recorder(), Room(2**20), clip(0, 0).pixels.nbytes
    box, over = Inbox(), time.monotonic() + (0.05 if how == "expired" else 60)
    async with batching(network, room=room) as batcher:
        with batcher.lane(box, expired=lambda: time.monotonic() > over) as lane:
            await fill(lane, 1, 5)
            assert not room.fits(2**20 - 4 * size)
            await asyncio.sleep(0.06)
            network.gate.release(1000)
            if how == "expired":
                await until(lambda: box.error is not None)
                await until(lambda: room.fits(2**20))
        await until(lambda: room.fits(2**20))


async def test_a_closed_lane_never_reaches_the_device() -> None:
    network = Recorder()
    stays, goes = Inbox(), Inbox()
    async with batching(network, batch=4) as batcher:
        with batcher.lane(stays) as kept:
            await fill(kept, 1, 1)
            await until(lambda: batcher.pending == 0)
            with batcher.lane(goes) as dropped:
                await fill(dropped, 2, 4)
            await fill(kept, 1, 1)
            network.gate.release(10)
            await until(lambda: len(stays.scored) == 2)
        assert network.sizes == [1, 1]
        assert goes.scored == []


async def test_what_has_expired_never_reaches_the_device() -> None:
    network = Recorder()
    stays, late, over = Inbox(), Inbox(), time.monotonic() + 0.05
    async with batching(network, batch=4) as batcher:
        with (
            batcher.lane(stays) as kept,
            batcher.lane(late, expired=lambda: time.monotonic() > over) as dropped,
        ):
            await fill(kept, 1, 1)
            await until(lambda: batcher.pending == 0)
            await fill(dropped, 2, 4)
            await asyncio.sleep(0.1)
            network.gate.release(10)
            await until(lambda: late.error is not None)
            assert isinstance(late.error, TooSlow)
        assert network.sizes == [1]


async def test_scores_come_back_to_their_clips_in_order() -> None:
    inboxes = [Inbox() for _ in range(3)]
    async with batching(Classifier(brightness_model()), batch=8) as batcher:
        lanes = [batcher.lane(box, cam=number == 1) for number, box in enumerate(inboxes)]
        for lane in lanes:
            lane.__enter__()
        for frame in range(20):
            for number, lane in enumerate(lanes):
                await lane.submit(clip(number, frame, brightness=10 * number + frame))
        await until(lambda: all(len(box.scored) == 20 for box in inboxes))
        for lane in lanes:
            lane.__exit__(None, None, None)
    for number, box in enumerate(inboxes):
        assert [each.clip.first_frame for each in box.scored] == list(range(20))
        expected = [(10 * number + frame) / 255 for frame in range(20)]
        assert [each.fake for each in box.scored] == pytest.approx(expected, abs=1e-5)
        assert all((each.cam is not None) == (number == 1) for each in box.scored)
        assert all(each.seconds > 0 for each in box.scored)


async def test_only_powers_of_two_reach_the_device() -> None:
    network = Recorder()
    box = Inbox()
    async with batching(network, batch=12) as batcher:
        with batcher.lane(box) as lane:
            await fill(lane, 1, 1)
            await until(lambda: batcher.pending == 0)
            await fill(lane, 1, 15)
            network.gate.release(50)
            await until(lambda: len(box.scored) == 16)
    assert network.sizes == [1, 8, 4, 2, 1]
    assert [bucket(count) for count in (0, 1, 2, 3, 7, 8, 9)] == [0, 1, 2, 2, 4, 8, 8]


@pytest.mark.parametrize(
    "error",
    [MemoryError(), ORT_ERRORS[-1]("CUDA failure 2: out of memory"), ORT_ERRORS[0]("bad_alloc")],
)
async def test_a_batch_too_large_for_the_device_is_halved(error: Exception) -> None:
    network = Recorder()
    network.fail = lambda size: error if size > 2 else None
    box = Inbox()
    network.gate.release(1000)
    async with batching(network, batch=8) as batcher:
        with batcher.lane(box) as lane:
            for number in range(30):
                await lane.submit(clip(1, number, number))
            await until(lambda: len(box.scored) == 30)
    assert box.error is None
    assert [each.clip.first_frame for each in box.scored] == list(range(30))
    assert [each.fake for each in box.scored] == pytest.approx(
        [n / 255 for n in range(30)], abs=1e-5
    )
    assert set(network.sizes) <= {1, 2}
    # It is not tried again and again.
    assert network.tried.count(8) <= 1
    assert network.tried.count(4) <= 3


async def test_no_memory_for_a_single_clip_is_not_ready() -> None:
    network = Recorder()
    network.fail = lambda size: MemoryError()
    network.gate.release(1000)
    box, after = Inbox(), Inbox()
    async with batching(network, batch=8) as batcher:
        with batcher.lane(box) as lane:
            await fill(lane, 1, 5)
            await until(lambda: box.error is not None)
            assert isinstance(box.error, NotReady)
            assert box.error.retry_after
        network.fail = lambda size: None
        with batcher.lane(after) as lane:
            await fill(lane, 1, 1)
            await until(lambda: len(after.scored) == 1)


async def test_a_network_that_fails_ends_its_videos_and_nothing_else() -> None:
    network = Recorder()
    network.fail = lambda size: ORT_ERRORS[0]("the text of a strange failure")
    network.gate.release(1000)
    box, after = Inbox(), Inbox()
    async with batching(network, batch=8) as batcher:
        with batcher.lane(box) as lane:
            await fill(lane, 1, 1)
            await until(lambda: box.error is not None)
        assert box.error is not None
        assert (box.error.code, "strange" in box.error.detail) == ("internal", False)
        network.fail = lambda size: None
        with batcher.lane(after) as lane:
            await fill(lane, 1, 1)
            await until(lambda: len(after.scored) == 1)


async def test_networks_of_a_device_take_turns() -> None:
    device = Device("shared")
    running, most = 0, 0

    class Watched(Recorder):
        def score(self, pixels: NDArray[np.uint8], *, cam: bool = False) -> ClipScores:
            nonlocal running, most
            running += 1
            most = max(most, running)
            time.sleep(0.005)
            running -= 1
            return super().score(pixels, cam=cam)

    networks, boxes = [Watched(), Watched()], [Inbox(), Inbox()]
    for network in networks:
        network.gate.release(1000)
    async with (
        batching(networks[0], device=device) as one,
        batching(networks[1], device=device) as other,
    ):
        with one.lane(boxes[0]) as first, other.lane(boxes[1]) as second:
            await asyncio.gather(fill(first, 1, 40), fill(second, 2, 40))
            await until(lambda: all(len(box.scored) == 40 for box in boxes))
    assert most == 1


async def test_a_retired_batcher_finishes_what_it_has() -> None:
    network = Recorder()
    box = Inbox()
    async with batching(network) as batcher:
        with batcher.lane(box) as lane:
            await fill(lane, 1, 3)
            retiring = asyncio.create_task(batcher.retire())
            await asyncio.sleep(0.02)
            assert not retiring.done()
            network.gate.release(10)
            await until(lambda: len(box.scored) == 3)
        await asyncio.wait_for(retiring, 5)


def test_the_messages_of_this_onnx_runtime_are_known() -> None:
    from service.runtime import out_of_memory

    assert out_of_memory(MemoryError())
    assert not out_of_memory(ORT_ERRORS[0]("shape mismatch"))
    assert not out_of_memory(ValueError("out of memory"))
    assert onnxruntime.__version__


class Choosy(Recorder):
    """Cannot score a batch that holds a black clip."""

    def score(self, pixels: NDArray[np.uint8], *, cam: bool = False) -> ClipScores:
        if any(not clip.any() for clip in pixels):
            raise ServiceError("the model gave a score that is no probability")
        return super().score(pixels, cam=cam)


async def test_a_clip_that_cannot_be_scored_ends_its_own_video_alone() -> None:
    network = Choosy()
    boxes = [Inbox() for _ in range(4)]
    async with batching(network, batch=8) as batcher:
        lanes = [batcher.lane(box) for box in boxes]
        for lane in lanes:
            lane.__enter__()
        for number, lane in enumerate(lanes):
            for frame in range(2):
                await lane.submit(clip(number, frame, brightness=100 * (number != 2)))
        network.gate.release(1000)
        await until(lambda: all(len(box.scored) == 2 or box.error for box in boxes))
        for lane in lanes:
            lane.__exit__(None, None, None)
    assert [box.error is not None for box in boxes] == [False, False, True, False]


class Careless(Recorder):
    """Gives no maps, however many are asked for."""

    def score(self, pixels: NDArray[np.uint8], *, cam: bool = False) -> ClipScores:
        scores = super().score(pixels, cam=cam)
        return ClipScores(scores.fake, None if scores.cam is None else scores.cam[:0])


async def test_whatever_goes_wrong_with_a_batch_the_next_one_is_scored() -> None:
    network = Careless()
    network.gate.release(1000)
    broken, fine = Inbox(), Inbox()
    async with batching(network) as batcher:
        with batcher.lane(broken, cam=True) as lane:
            await fill(lane, 1, 3)
            await until(lambda: broken.error is not None)
        with batcher.lane(fine) as lane:
            await fill(lane, 1, 3)
            await until(lambda: len(fine.scored) == 3)
