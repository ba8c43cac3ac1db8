"""The right frames, at the right times, upright."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from service.errors import Undecodable
from service.video.deadline import Deadline
from service.video.video import Video, VideoLimits
from tests import media


def opened(data: bytes) -> Video:
    deadline = Deadline(60)
    deadline.resume()
    return Video(data, VideoLimits(), deadline)


def test_every_frame_comes_once_in_order_with_its_time() -> None:
    video = opened(media.numbered_video(50))
    frames = list(video.frames(range(50)))
    assert [media.number_of(frame.rgb) for frame in frames] == list(range(50))
    assert [frame.index for frame in frames] == list(range(50))
    np.testing.assert_allclose([frame.time for frame in frames], np.arange(50) / 25, atol=1e-6)
    assert video.duration == pytest.approx(2.0)
    assert (video.width, video.height, video.fps) == (96, 64, 25.0)
    assert (video.container, video.codec) == ("mov", "h264")


def test_skipping_frames_changes_no_pixel_of_the_wanted_ones() -> None:
    # Motion and noise make B-frames worth while, which is what is skipped.
    rng = np.random.default_rng(1)
    frames = [np.clip(f + rng.normal(0, 3, f.shape), 0, 255).astype(np.uint8)
              for f in media.group_frames(60, 0.25, 1.5)]  # fmt: skip
    video = opened(media.encode_video(frames))
    whole = {frame.index: frame.rgb for frame in video.frames(range(60))}
    wanted = [3, 4, 5, 6, 7, 31, 32, 33, 34, 35, 58]
    some = {frame.index: frame.rgb for frame in video.frames(wanted)}
    assert sorted(some) == wanted
    for index in wanted:
        np.testing.assert_array_equal(some[index], whole[index])


def test_times_of_a_variable_rate_are_the_containers() -> None:
    stamps = [0.0, 0.04, 0.08, 0.5, 0.54, 2.0, 2.04]
    video = opened(media.timed_video(stamps))
    np.testing.assert_allclose(video.times, stamps, atol=1e-3)
    assert [media.number_of(frame.rgb) for frame in video.frames([3, 5])] == [3, 5]


@pytest.mark.parametrize("container", ["mp4", "matroska", "mpegts", "flv", "avi", "asf"])
def test_b_frames_are_told_apart_in_every_container(container: str) -> None:
    video = opened(media.numbered_video(30, container=container))
    frames = list(video.frames([0, 7, 29]))
    assert [media.number_of(frame.rgb) for frame in frames] == [0, 7, 29]
    assert frames[1].time == pytest.approx(7 / 25)


@pytest.mark.parametrize(
    ("matrix", "corner"),
    [((0, 1, -1, 0), "right"), ((-1, 0, 0, -1), "bottom"), ((0, -1, 1, 0), "left")],
    ids=["90", "180", "270"],
)
def test_rotation_in_the_container_is_applied(
    matrix: tuple[int, int, int, int], corner: str
) -> None:
    rgb = np.zeros((64, 96, 3), np.uint8)
    rgb[:32, :48] = 255  # the upper left quarter of the stored picture
    data = bytearray(media.encode_video([rgb] * 3))
    a, b, c, d = matrix
    at = data.index(b"tkhd") + 4 + 40  # ISO 14496-12, 8.3.2: after version 0's fixed fields
    data[at : at + 36] = struct.pack(">9i", a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)
    video = opened(bytes(data))
    shown = next(iter(video.frames([0]))).rgb
    height, width = shown.shape[:2]
    assert (width, height) == ((96, 64) if corner == "bottom" else (64, 96))
    quarters = {
        "right": shown[: height // 2, width // 2 :],
        "bottom": shown[height // 2 :, width // 2 :],
        "left": shown[height // 2 :, : width // 2],
    }
    assert quarters[corner].mean() > 240
    assert shown.mean() < 80


def test_damage_loses_frames_and_is_counted_not_fatal() -> None:
    whole = media.encode_video(media.group_frames(60, 0.25, 1.5), options={"g": "10"})
    video = opened(media.spoiled(whole, 0.4, 0.5))
    kept = list(video.frames(range(60)))
    assert 30 < len(kept) < 60
    assert len(kept) + video.frames_damaged == 60
    assert kept[-1].index == 59, "frames after the damage must still come"


def test_a_file_that_breaks_off_gives_what_is_there() -> None:
    whole = media.encode_video(
        media.group_frames(60, 0.25, 1.5), container="matroska", options={"g": "10"}
    )
    video = opened(whole[: len(whole) // 2])
    frames = list(video.frames(range(len(video.times))))
    assert 10 < len(frames) < 60


def test_no_decodable_frame_is_an_error() -> None:
    video = opened(media.spoiled(media.numbered_video(20), 0.0, 1.0))
    with pytest.raises(Undecodable):
        list(video.frames(range(20)))
