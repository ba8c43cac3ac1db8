"""Places for reading: long videos never hold them all."""

from __future__ import annotations

import asyncio

from service.slots import Place, Slots


class Video:
    """A video that reads until it is told to end, pausing and resuming as it is asked."""

    def __init__(self, slots: Slots) -> None:
        self._slots = slots
        self.reading = self.long = False
        self.log: list[str] = []
        self._end = asyncio.Event()
        self._lengthen = asyncio.Event()
        self.task = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async with self._slots.enter() as place:
            self.reading = True
            longer = asyncio.create_task(self._grow(place))
            try:
                await self._end.wait()
            finally:
                longer.cancel()
                await asyncio.gather(longer, return_exceptions=True)
        self.reading = False

    async def _grow(self, place: Place) -> None:
        await self._lengthen.wait()
        await place.lengthen(self._pause, self._resume)
        self.long = True

    def _pause(self) -> None:
        self.reading = False
        self.log.append("pause")

    def _resume(self) -> None:
        self.reading = True
        self.log.append("resume")

    async def lengthen(self) -> None:
        self._lengthen.set()
        await settle()

    async def end(self) -> None:
        self._end.set()
        await self.task
        await settle()


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_long_videos_leave_a_place_to_others() -> None:
    slots = Slots(2, short=10)
    first, second, third = Video(slots), Video(slots), Video(slots)
    await settle()
    assert [first.reading, second.reading, third.reading] == [True, True, False]
    await first.lengthen()
    assert (first.long, first.log) == (True, [])
    await second.lengthen()
    # The second long one stops and gives its place away.
    assert (second.long, second.log) == (False, ["pause"])
    assert [first.reading, second.reading, third.reading] == [True, False, True]
    for _ in range(5):
        await third.end()
        third = Video(slots)
        await settle()
        assert third.reading
    await first.end()
    # The permit is free, and a place.
    assert (second.long, second.log) == (True, ["pause", "resume"])
    await asyncio.gather(second.end(), third.end())


async def test_a_cancelled_video_gives_everything_back() -> None:
    slots = Slots(2, short=10)
    for _ in range(4):
        videos = [Video(slots) for _ in range(3)]
        await settle()
        for video in videos[:2]:
            await video.lengthen()
        for video in videos:
            video.task.cancel()
        await asyncio.gather(*(video.task for video in videos), return_exceptions=True)
    after = [Video(slots), Video(slots)]
    await settle()
    assert all(video.reading for video in after)
    await after[0].lengthen()
    assert after[0].long
    await asyncio.gather(*(video.end() for video in after))


async def test_a_single_place_is_never_kept_free() -> None:
    slots = Slots(1, short=10)
    only = Video(slots)
    await settle()
    await only.lengthen()
    assert (only.reading, only.long, only.log) == (True, True, [])
    await only.end()
