"""Where windows are placed."""

from __future__ import annotations

import numpy as np
import pytest

from service.errors import MalformedRequest, OverLimits
from service.video.sampling import Plan, plan, shown_within


def planned(frames: int, length: int, sampling: str, fps: float = 25.0, **options: float) -> Plan:
    bounds = {"full_seconds": 60.0, "auto_windows": 400, "max_windows": 20_000} | options
    return plan(np.arange(frames) / fps, length, sampling, **bounds)  # type: ignore[arg-type]


def test_full_takes_every_window_and_leaves_the_rest() -> None:
    assert planned(23, 5, "full").starts == (0, 5, 10, 15)


@pytest.mark.parametrize(("length", "windows"), [(5, 16), (1, 80), (20, 4)])
def test_paper_spreads_eighty_frames_from_end_to_end(length: int, windows: int) -> None:
    made = planned(1000, length, "paper")
    assert len(made.starts) == windows
    assert made.starts[0] == 0
    assert made.starts[-1] == 1000 - length
    assert len(made.frames()) == 80
    gaps = np.diff(made.starts)
    assert gaps.max() - gaps.min() <= 1


def test_windows_never_overlap_in_a_short_video() -> None:
    made = planned(33, 5, "paper")
    assert np.diff(made.starts).min() >= 5


def test_stride_takes_the_first_frame_at_or_after_each_moment() -> None:
    times = np.array([0.0, 0.1, 0.9, 1.0, 1.1, 1.2, 2.5, 2.6, 2.7, 2.8])
    made = plan(times, 2, "stride=1", full_seconds=60, auto_windows=9, max_windows=9)
    assert made.starts == (0, 3, 6)


def test_auto_is_full_for_short_videos_and_keeps_the_budget_for_long_ones() -> None:
    assert planned(1500, 5, "auto").sampling == "full"
    long = planned(25 * 600, 5, "auto")
    assert long.sampling == "stride=1.500"
    assert 398 <= len(long.starts) <= 401


def test_auto_never_asks_for_more_than_is_allowed() -> None:
    made = planned(21_000, 1, "auto", fps=1000.0)
    assert made.sampling == "stride=0.052"
    assert len(made.starts) <= 410


def test_too_few_frames_give_no_window() -> None:
    assert planned(4, 5, "auto").starts == ()


def test_too_many_windows_are_refused() -> None:
    with pytest.raises(OverLimits):
        planned(1000, 5, "full", max_windows=199)
    assert len(planned(1000, 5, "full", max_windows=200).starts) == 200


@pytest.mark.parametrize(
    "word",
    [
        "",
        "all",
        "stride=",
        "stride=-1",
        "stride=0",
        "stride=0.00",
        "paper ",
        "stride=1e9",
        "stride=0.",
    ],
)
def test_other_words_are_refused(word: str) -> None:
    with pytest.raises(MalformedRequest):
        planned(100, 5, word)


@pytest.mark.parametrize(
    "word", ["stride=0.5", "stride=0.05", "stride=0.040", "stride=1", "stride=10.25"]
)
def test_strides_are_seconds(word: str) -> None:
    made = planned(25 * 20, 1, word)
    stride = float(word.removeprefix("stride="))
    assert len(made.starts) == pytest.approx(min(20 / stride, 500), abs=1)


def test_windows_keep_within_the_frames_given() -> None:
    times = np.arange(100) / 25
    bounds = {"full_seconds": 60.0, "auto_windows": 400, "max_windows": 20_000}
    full = plan(times, 5, "full", frames=range(12, 30), **bounds)  # type: ignore[arg-type]
    assert full.starts == (12, 17, 22)
    stride = plan(times, 5, "stride=0.4", frames=range(12, 38), **bounds)  # type: ignore[arg-type]
    assert stride.starts == (12, 22, 32)
    paper = plan(times, 5, "paper", frames=range(10, 40), **bounds)  # type: ignore[arg-type]
    assert (paper.starts[0], paper.starts[-1]) == (10, 35)
    assert plan(times, 5, "full", frames=range(12, 16), **bounds).starts == ()  # type: ignore[arg-type]


def test_auto_looks_at_the_length_of_the_range() -> None:
    times = np.arange(25 * 600) / 25
    bounds = {"full_seconds": 60.0, "auto_windows": 400, "max_windows": 20_000}
    made = plan(times, 5, "auto", frames=range(5000, 6500), **bounds)  # type: ignore[arg-type]
    assert (made.sampling, made.starts[0], len(made.starts)) == ("full", 5000, 300)
    whole = plan(times, 5, "auto", frames=range(15_000), **bounds)  # type: ignore[arg-type]
    assert whole == plan(times, 5, "auto", **bounds)  # type: ignore[arg-type]


def test_a_range_holds_the_frames_that_appear_in_it() -> None:
    times = np.array([0.0, 0.04, 0.08, 1.0, 1.04])
    assert shown_within(times, 1.08, None, None) == range(5)
    assert shown_within(times, 1.08, 0.04, 1.04) == range(1, 4)
    assert shown_within(times, 1.08, 0.0400000001, None) == range(1, 5)
    assert shown_within(times, 1.08, 0.0, 100.0) == range(5)


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (-0.1, None),
        (1.08, None),
        (0.5, 0.5),
        (0.5, 0.2),
        (0.2, 0.9),
        (float("nan"), None),
        (None, 0.0),
    ],
)
def test_a_range_without_frames_is_refused(start: float | None, end: float | None) -> None:
    with pytest.raises(MalformedRequest):
        shown_within(np.array([0.0, 0.04, 0.08, 1.0, 1.04]), 1.08, start, end)
