"""Places for reading: short videos before long ones, and none for ever."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from service import slots as module
from service.slots import Place, Slots

SHORT = 10.0
FRAMES = 100


class Video:
    """A video that is read until the test ends it; the test also says how long it has been."""

    def __init__(self, slots: Slots, spent: float = 0.0) -> None:
        self._spent = spent
        self._place: Place | None = None
        self.reading = False
        self.ways = 0
        self.log: list[str] = []
        self._slots = slots
        self._end = asyncio.Event()
        self.task = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async with self._slots.place() as place:
            self._place = place
            self.reading = True
            place.occupy(self)
            self.spent = self._spent
            try:
                await self._end.wait()
            finally:
                self.reading = False

    @property
    def spent(self) -> float:
        return self._spent

    @spent.setter
    def spent(self, seconds: float) -> None:
        self._spent = seconds
        assert self._place is not None
        self._place._held = seconds

    def pause(self) -> None:
        self.reading = False
        self.log.append("pause")

    def resume(self) -> None:
        self.reading = True
        self.log.append("resume")

    def make_way(self) -> None:
        self.ways += 1

    async def end(self) -> None:
        self._end.set()
        await self.task


@pytest.fixture(autouse=True)
def _looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LOOK_SECONDS", 0.001)


async def settle() -> None:
    await asyncio.sleep(0.02)


def reading(*videos: Video) -> list[bool]:
    return [video.reading for video in videos]


async def end(*videos: Video) -> None:
    await asyncio.gather(*(video.end() for video in videos))


async def test_nothing_is_kept_free_for_nobody() -> None:
    slots = Slots(2, SHORT, FRAMES)
    one, other = Video(slots), Video(slots)
    await settle()
    one.spent = other.spent = 100.0
    await settle()
    assert reading(one, other) == [True, True]
    assert one.log == other.log == []
    await end(one, other)


async def test_a_short_video_gets_its_place_from_a_long_one_at_once() -> None:
    slots = Slots(2, SHORT, FRAMES)
    one, other = Video(slots), Video(slots)
    await settle()
    one.spent, other.spent = 100.0, 50.0
    await settle()
    new = Video(slots)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    # The one that has had more has to wait.
    assert reading(one, other, new) == [False, True, True]
    # A second short one waits for the first: the long ones keep a place.
    newer = Video(slots)
    await settle()
    assert reading(one, other, new, newer) == [False, True, True, False]
    await new.end()
    await settle()
    assert reading(one, other, newer) == [False, True, True]
    await newer.end()
    await settle()
    assert reading(one, other) == [True, True]
    assert one.log == ["pause", "resume"]
    await end(one, other)


async def test_short_ones_come_in_the_order_of_arrival() -> None:
    slots = Slots(2, SHORT, FRAMES)
    videos = [Video(slots) for _ in range(5)]
    await settle()
    assert reading(*videos) == [True, True, False, False, False]
    await videos[1].end()
    await asyncio.sleep(0)
    assert reading(*videos) == [True, False, True, False, False]
    await end(*videos)


async def test_a_video_that_becomes_long_makes_room() -> None:
    slots = Slots(2, SHORT, FRAMES)
    one, other, third = Video(slots), Video(slots), Video(slots)
    await settle()
    one.spent = 11.0
    other.spent = 12.0
    await settle()
    assert reading(one, other, third) == [True, False, True]
    await end(one, other, third)


async def test_a_video_that_says_that_it_is_long_makes_room_at_once() -> None:
    slots = Slots(2, SHORT, FRAMES)
    one, other, third = Video(slots), Video(slots), Video(slots)
    await settle()

    def expect(video: Video, frames: int) -> None:
        assert video._place is not None
        video._place.expect(frames)

    expect(one, FRAMES + 1)
    expect(other, FRAMES)
    await settle()
    # One of the long ones keeps a place, and there is no more than one.
    assert reading(one, other, third) == [True, True, False]
    expect(other, FRAMES + 1)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert reading(one, other, third) == [True, False, True]
    await settle()
    assert (one.ways, other.ways, third.ways) == (1, 1, 0)
    await end(one, third)
    await settle()
    assert other.reading
    await end(other)


async def test_long_ones_take_turns() -> None:
    slots = Slots(1, SHORT, FRAMES)
    videos = [Video(slots, spent=SHORT) for _ in range(3)]
    await settle()
    turns = []
    for _ in range(24):
        (number,) = [number for number, video in enumerate(videos) if video.reading]
        turns.append(number)
        videos[number].spent += SHORT / 2
        await settle()
    assert [turns.count(number) for number in range(3)] == [8, 8, 8]
    changes = sum(one != other for one, other in pairwise(turns))
    assert changes < 12, "a turn is not cut short"
    await end(*videos)


async def test_a_cancelled_video_gives_everything_back() -> None:
    slots = Slots(2, SHORT, FRAMES)
    for spent in (0.0, 100.0):
        videos = [Video(slots, spent) for _ in range(4)]
        await settle()
        for video in videos:
            video.task.cancel()
        await asyncio.gather(*(video.task for video in videos), return_exceptions=True)
    await settle()
    after = [Video(slots), Video(slots)]
    await settle()
    assert reading(*after) == [True, True]
    await end(*after)
    await settle()
    assert slots._ticker is None


async def test_who_is_done_reading_gives_the_place_back_at_once() -> None:
    slots = Slots(1, SHORT, FRAMES)
    one, other = Video(slots), Video(slots)
    await settle()
    assert reading(one, other) == [True, False]
    assert one._place is not None
    one._place.vacate()
    await asyncio.sleep(0)
    assert other.reading
    assert one.log == []
    await end(one, other)


async def test_a_place_that_was_lost_before_it_was_used_halts_who_comes() -> None:
    slots = Slots(1, SHORT, FRAMES)
    async with slots.place() as late:
        late._held = 2 * SHORT
        other = Video(slots)
        await settle()
        assert not late.has_place
        log: list[str] = []

        class Reading:
            def pause(self) -> None:
                log.append("pause")

            def resume(self) -> None:
                log.append("resume")

            def make_way(self) -> None:
                log.append("make way")

        late.occupy(Reading())
        assert log == ["make way", "pause"]
        await other.end()
        await settle()
        assert log == ["make way", "pause", "resume"]
