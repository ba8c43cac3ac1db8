"""Batches of clips for one network, filled fairly from all the videos that are being scored.

A :class:`Lane` is one video's queue. Whenever the device is free the next batch takes one clip from
each lane in turn, again and again, until it is full: with L lanes the k-th clip of a
video waits no longer than ``ceil(k L / batch) + 1`` full batches take, however long the others are.
Lanes are bounded in clips, and all together in bytes, which holds back whoever fills them.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from service.batching.device import Device
from service.batching.room import ALWAYS, Room
from service.classifier.classifier import ClipScores, Scorer
from service.clips import Clip
from service.errors import NotReady, ServiceError, TooSlow
from service.runtime import out_of_memory

_log = logging.getLogger("service.batcher")

_RECOVERY = 100
"""Batches after which one that was halved for want of memory may be twice as large again."""


@dataclass(frozen=True, slots=True)
class Scored:
    """A clip's score. ``cam`` is float32 (T, h, w), raw, or None; ``seconds`` the clip's share of
    the device's time."""

    clip: Clip
    fake: float
    cam: NDArray[np.float32] | None
    seconds: float


class Lane:
    """One video's clips on their way to one network; a context manager.

    ``deliver`` is called on the event loop with what was scored, or with the error that ends it.
    """

    def __init__(
        self,
        batcher: Batcher,
        deliver: Callable[[Sequence[Scored] | ServiceError], None],
        *,
        cam: bool,
        expired: Callable[[], bool],
    ) -> None:
        self._batcher, self.deliver = batcher, deliver
        self.cam, self.expired = cam, expired
        self.clips: deque[Clip] = deque()
        self._held = 0
        """Clips that wait or are on the device."""

    async def submit(self, clip: Clip) -> None:
        """Queue a clip; waits while this lane is full, or all lanes together and this one has its
        few."""
        room = self._batcher.room
        while not self._may_hold(clip):
            await room.freed()
        room.take(clip.pixels.nbytes)
        self._held += 1
        self.clips.append(clip)
        self._batcher.wake()

    def _may_hold(self, clip: Clip) -> bool:
        if self._held < ALWAYS:
            return True
        return self._held < self._batcher.ahead and self._batcher.room.fits(clip.pixels.nbytes)

    def let_go(self, clips: Sequence[Clip]) -> None:
        """Say that these are scored, or never will be."""
        self._held -= len(clips)
        self._batcher.room.free(sum(clip.pixels.nbytes for clip in clips))

    def drop(self) -> None:
        """Forget the clips that wait."""
        clips, self.clips = self.clips, deque()
        self.let_go(clips)

    def __enter__(self) -> Lane:
        self._batcher.lanes.append(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.drop()
        self._batcher.lanes.remove(self)
        self._batcher.wake()


class Batcher:
    """Feeds one ``classifier`` on ``device`` with batches of at most ``batch`` clips, each of a
    power of two.

    ``observe`` is told the size of every batch. ``ahead`` bounds the clips of a lane, ``room`` the
    bytes of all.
    """

    def __init__(
        self,
        classifier: Scorer,
        device: Device,
        room: Room,
        *,
        batch: int,
        observe: Callable[[int], None] = lambda size: None,
    ) -> None:
        self.classifier, self.room = classifier, room
        self._device, self._observe = device, observe
        self._most = self._limit = batch
        self._since_halved = 0
        self.ahead = 2 * batch
        self.lanes: deque[Lane] = deque()
        """In the order in which the next batch serves them."""
        self._waiting = asyncio.Event()
        self._work = asyncio.create_task(self._forever())

    @property
    def pending(self) -> int:
        """Clips that wait for the device."""
        return sum(len(lane.clips) for lane in self.lanes)

    def lane(
        self,
        deliver: Callable[[Sequence[Scored] | ServiceError], None],
        *,
        cam: bool = False,
        expired: Callable[[], bool] = lambda: False,
    ) -> Lane:
        """A queue for one video, whose clips are dropped once it has ``expired``; ``cam``: its
        clips need class activation maps."""
        return Lane(self, deliver, cam=cam, expired=expired)

    def wake(self) -> None:
        """Say that lanes have changed."""
        self._waiting.set()

    async def retire(self) -> None:
        """Finish the lanes that are open, then end."""
        while self.lanes:
            self._waiting.clear()
            await self._waiting.wait()
        await self.stop()

    async def stop(self) -> None:
        """End at once; a batch on the device is waited for."""
        self._work.cancel()
        await asyncio.gather(self._work, return_exceptions=True)

    async def _forever(self) -> None:
        while True:
            if not self.pending:
                self._waiting.clear()
                await self._waiting.wait()
                continue
            # Taken when the device is free, not before: what was cancelled meanwhile is gone.
            async with self._device.turn():
                if taken := self._take():
                    await self._run(taken)

    def _take(self) -> list[tuple[Lane, Clip]]:
        """The next batch: a clip of each lane in turn, as many as the largest bucket holds."""
        self._expire()
        size = bucket(min(self.pending, self._limit))
        taken: list[tuple[Lane, Clip]] = []
        while len(taken) < size:
            lane = self.lanes[0]
            self.lanes.rotate(-1)
            if lane.clips:
                taken.append((lane, lane.clips.popleft()))
        return taken

    def _expire(self) -> None:
        for lane in self.lanes:
            if lane.clips and lane.expired():
                lane.drop()
                lane.deliver(TooSlow("the work took longer than it may"))

    async def _run(self, taken: Sequence[tuple[Lane, Clip]]) -> None:
        try:
            await self._score(taken)
        finally:
            for lane, clip in taken:
                lane.let_go([clip])

    async def _score(self, taken: Sequence[tuple[Lane, Clip]]) -> None:
        """Score clips and deliver. Where that fails, lane by lane: what is wrong with one video
        must not end the others."""
        lanes = list(dict.fromkeys(lane for lane, _ in taken))
        try:
            found = await self._device.run(partial(self._scored_clips, taken))
        except Exception as error:
            if len(lanes) > 1:
                for lane in lanes:
                    await self._score([each for each in taken if each[0] is lane])
                return
            if not isinstance(error, ServiceError):
                _log.error("scoring failed", exc_info=error)
                error = ServiceError("the network could not score")
            lanes[0].deliver(error)
        else:
            for lane in lanes:
                lane.deliver([each for owner, each in found if owner is lane])

    def _scored_clips(self, taken: Sequence[tuple[Lane, Clip]]) -> list[tuple[Lane, Scored]]:
        """On the device's thread."""
        began = time.monotonic()
        scores = self._scored(
            np.stack([clip.pixels for _, clip in taken]), any(lane.cam for lane, _ in taken)
        )
        share = (time.monotonic() - began) / len(taken)
        maps = scores.cam if scores.cam is not None else [None] * len(taken)
        return [
            (lane, Scored(clip, float(fake), own if lane.cam else None, share))
            for (lane, clip), fake, own in zip(taken, scores.fake, maps, strict=True)
        ]

    def _scored(self, pixels: NDArray[np.uint8], cam: bool) -> ClipScores:
        """Scores, in two halves where the device has no memory for all at once."""
        try:
            scores = self.classifier.score(pixels, cam=cam)
        except Exception as error:
            if not out_of_memory(error):
                raise
            half = len(pixels) // 2
            if not half:
                raise NotReady("the device has no memory for a clip", retry_after=5) from error
            self._limit, self._since_halved = min(self._limit, bucket(half)), 0
        else:
            self._observe(len(pixels))
            self._recover()
            return scores
        first, second = (self._scored(part, cam) for part in (pixels[:half], pixels[half:]))
        maps = None if first.cam is None or second.cam is None else (first.cam, second.cam)
        return ClipScores(
            np.concatenate([first.fake, second.fake]),
            None if maps is None else np.concatenate(maps),
        )

    def _recover(self) -> None:
        self._since_halved += 1
        if self._limit < self._most and self._since_halved >= _RECOVERY:
            self._limit, self._since_halved = min(2 * self._limit, self._most), 0


def bucket(count: int) -> int:
    """The largest power of two up to ``count``, so that a device meets few shapes; 0 for none."""
    return 1 << (count.bit_length() - 1) if count else 0
