"""The service's way from a video to clips, each stage on the watch."""

from __future__ import annotations

import math
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from service.clips import Clip, ClipCutter, ClipSpec
from service.faces.detector import Detection, FaceDetector
from service.faces.tracking import Tracker
from service.sandbox.child import _send
from service.sandbox.wire import PlainChannel
from service.video.deadline import Deadline
from service.video.frames import Frame, Picture, Pixels
from service.video.sampling import plan
from service.video.video import Video, VideoLimits

STAGES = ("index", "decode", "convert", "thumbnail", "detect", "track", "crop", "hand over")
"""``convert`` is making RGB of what detector and crops need, ``thumbnail`` what cuts are seen in,
``crop`` the scaling, ``hand over`` what the parent is told of."""

Result = TypeVar("Result")


class Stopwatch:
    """Processor seconds of this thread by stage; of stages within each other, the inner one's."""

    def __init__(self) -> None:
        self.spent: Counter[str] = Counter()
        self._open = ["other"]
        self._since = time.thread_time()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """What is done inside is of this stage."""
        self._charge()
        self._open.append(name)
        try:
            yield
        finally:
            self._charge()
            self._open.pop()

    def each(self, name: str, items: Iterator[Result]) -> Iterator[Result]:
        """The same items; getting them is of this stage."""
        while True:
            with self.stage(name):
                item = next(items, None)
            if item is None:
                return
            yield item

    def _charge(self) -> None:
        now = time.thread_time()
        self.spent[self._open[-1]] += now - self._since
        self._since = now


class TimedPicture:
    """A picture whose conversions are on the watch."""

    def __init__(self, picture: Picture, watch: Stopwatch) -> None:
        self._picture, self._watch = picture, watch
        self.shape = picture.shape

    def __getitem__(self, part: tuple[slice, slice]) -> Pixels:
        """See ``Picture``."""
        with self._watch.stage("convert"):
            return self._picture[part]

    def coarse(self, longest: int) -> Pixels:
        """See ``Picture``."""
        with self._watch.stage("convert"):
            return self._picture.coarse(longest)

    def grey(self, step: int) -> Pixels:
        """See ``Picture``."""
        with self._watch.stage("thumbnail"):
            return self._picture.grey(step)


class TimedDetector:
    """A detector on the watch."""

    def __init__(self, detector: FaceDetector, watch: Stopwatch) -> None:
        self._detector, self._watch, self.name = detector, watch, detector.name

    def __getattr__(self, name: str) -> Any:
        return getattr(self._detector, name)

    def detect(self, rgb: Pixels) -> list[Detection]:
        """See ``FaceDetector``."""
        with self._watch.stage("detect"):
            return self._detector.detect(rgb)


def staged(
    data: bytes, detector: FaceDetector, sampling: str, spec: ClipSpec
) -> tuple[Counter[str], int]:
    """Seconds of each stage, and how many clips came of the video."""
    watch = Stopwatch()
    with watch.stage("index"):
        video = Video(data, VideoLimits(), Deadline(math.inf))
    windows = plan(
        video.times, spec.length, sampling, full_seconds=60, auto_windows=400, max_windows=20_000
    )
    frames = (
        Frame(frame.index, frame.time, TimedPicture(frame.picture, watch))
        for frame in watch.each("decode", video.frames(windows.frames()))
    )
    tracked = Tracker(TimedDetector(detector, watch)).follow(frames)
    cutter = ClipCutter(windows, (spec,), ends=video.ends, most=20_000)
    clips = 0
    with _sink() as channel:
        for item in watch.each("crop", cutter.cut(watch.each("track", tracked))):
            if isinstance(item, Clip):
                clips += 1
                with watch.stage("hand over"):
                    _send(channel, item)
    return watch.spent, clips


@contextmanager
def _sink() -> Iterator[PlainChannel]:
    """A channel to a thread that takes all that comes."""
    end, other = socket.socketpair()
    block = bytearray(2**20)

    def drain() -> None:
        while other.recv_into(block):
            pass

    reader = threading.Thread(target=drain)
    reader.start()
    try:
        yield PlainChannel(end)
    finally:
        end.close()
        reader.join()
        other.close()
