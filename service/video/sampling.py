"""Which windows of consecutive frames are scored, decided before any frame is decoded."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.errors import MalformedRequest, OverLimits

PAPER_FRAMES = 80
"""Frames a video in the papers: 16 samples of 5."""

_EDGE = 1e-6
"""Seconds by which a frame may miss a moment and still be the one shown then."""

PATTERN = r"^(auto|full|paper|stride=([1-9]\d{0,3}(\.\d{1,3})?|0\.\d{0,2}[1-9]\d{0,2}))$"
"""The words for a sampling; a stride is more than 0 and less than 10,000 seconds."""


@dataclass(frozen=True, slots=True)
class Plan:
    """``starts``: index of the first frame of each window, ascending, never overlapping."""

    sampling: str
    length: int
    starts: tuple[int, ...]

    def frames(self) -> list[int]:
        """Indices of all frames in the windows, ascending."""
        return [start + step for start in self.starts for step in range(self.length)]


def shown_within(
    times: NDArray[np.float64], duration: float, start: float | None, end: float | None
) -> range:
    """Indices of the frames that appear from ``start`` to before ``end``, all in seconds.

    ``times`` is float64 (frames,), ascending; None stands for the video's own start or end.
    Raises ``MalformedRequest`` where there can be none.
    """
    if start is None and end is None:
        return range(len(times))
    since = 0.0 if start is None else start
    if not 0.0 <= since < duration:
        raise MalformedRequest("start lies outside the video")
    if end is not None and not end > since:
        raise MalformedRequest("end must lie after start")
    first = int(np.searchsorted(times, since - _EDGE))
    after = len(times) if end is None else int(np.searchsorted(times, end - _EDGE))
    if first >= after:
        raise MalformedRequest("no frame appears between start and end")
    return range(first, after)


def plan(
    times: NDArray[np.float64],
    length: int,
    sampling: str,
    *,
    full_seconds: float,
    auto_windows: int,
    max_windows: int,
    frames: range | None = None,
) -> Plan:
    """Place windows of ``length`` consecutive frames over a video, or over ``frames`` of it.

    ``times`` is float64 (frames,) in seconds. ``full`` takes every window; ``stride=s`` one every
    s seconds; ``paper`` 80 frames evenly spread; ``auto`` is full up to ``full_seconds`` and then
    the even stride that gives at most ``auto_windows``. Raises ``MalformedRequest`` for other
    words and ``OverLimits`` where more than ``max_windows`` would result.
    """
    if not re.fullmatch(PATTERN, sampling):
        raise MalformedRequest("sampling is auto, full, paper or stride=<seconds>")
    offset = 0
    if frames is not None:
        offset = frames.start
        times = times[frames.start : frames.stop] - times[frames.start]
    last = len(times) - length
    if last < 0:
        return Plan("full" if sampling == "auto" else sampling, length, ())
    duration = float(times[-1])
    if sampling == "auto":
        whole = duration <= full_seconds and len(times) // length <= max_windows
        sampling = "full" if whole else f"stride={max(0.001, duration / auto_windows):.3f}"
    if sampling == "full":
        starts = np.arange(0, last + 1, length)
    elif sampling == "paper":
        starts = np.linspace(0, last, max(1, round(PAPER_FRAMES / length))).astype(np.int64)
    else:
        stride = float(sampling.removeprefix("stride="))
        starts = np.searchsorted(times, np.arange(0.0, duration + 1e-9, stride) - _EDGE)
    chosen: list[int] = []
    for start in starts.tolist():
        if start <= last and (not chosen or start >= chosen[-1] + length):
            chosen.append(start)
    if len(chosen) > max_windows:
        raise OverLimits(f"{len(chosen)} clips would be scored, {max_windows} are allowed")
    return Plan(sampling, length, tuple(start + offset for start in chosen))
