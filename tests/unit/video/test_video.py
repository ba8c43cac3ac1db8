"""The right frames, at the right times, upright."""

from __future__ import annotations

import gc
import os
import struct
import sys

import av
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
    [
        ((1, 0, 0, 1), "top left"),
        ((0, 1, -1, 0), "top right"),
        ((-1, 0, 0, -1), "bottom right"),
        ((0, -1, 1, 0), "bottom left"),
        ((-1, 0, 0, 1), "top right"),
        ((1, 0, 0, -1), "bottom left"),
        ((0, 1, 1, 0), "top left"),
        ((0, 0, 0, 0), "top left"),
    ],
    ids=["none", "90", "180", "270", "mirrored", "upside down", "transposed", "degenerate"],
)
def test_the_containers_turns_and_mirrors_are_applied(
    matrix: tuple[int, int, int, int], corner: str
) -> None:
    rgb = np.zeros((64, 96, 3), np.uint8)
    rgb[:32, :48] = 255  # the upper left quarter of the stored picture
    data = bytearray(media.encode_video([rgb] * 3))
    a, b, c, d = matrix
    at = data.index(b"tkhd") + 4 + 40  # ISO 14496-12, 8.3.2: after version 0's fixed fields
    data[at : at + 36] = struct.pack(">9i", a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)
    shown = next(iter(opened(bytes(data)).frames([0]))).rgb
    height, width = shown.shape[:2]
    assert (width, height) == ((64, 96) if b else (96, 64))
    rows = slice(0, height // 2) if "top" in corner else slice(height // 2, height)
    columns = slice(0, width // 2) if "left" in corner else slice(width // 2, width)
    assert shown[rows, columns].mean() > 240
    assert shown.mean() < 80


def test_stamps_in_decoding_order_are_recognised_and_frames_counted() -> None:
    def misuse(_: int, packet: av.Packet) -> None:
        packet.pts = packet.dts

    video = opened(media.remuxed(media.numbered_video(30), misuse))
    frames = list(video.frames(range(30)))
    assert [frame.index for frame in frames] == list(range(30))
    assert [media.number_of(frame.rgb) for frame in frames] == list(range(30))


def test_a_stamp_that_occurs_twice_loses_no_other_frame() -> None:
    def repeat(number: int, packet: av.Packet) -> None:
        if number == 9:
            packet.pts = (packet.pts or 0) + (packet.duration or 0)

    plain = media.encode_video(media.numbered_frames(30), options={"bf": "0"})
    video = opened(media.remuxed(plain, repeat))
    frames = list(video.frames(range(30)))
    assert [frame.index for frame in frames] == list(range(30))
    assert video.frames_damaged == 0


def test_frames_never_go_backwards_whatever_the_stamps_say() -> None:
    rng = np.random.default_rng(3)

    def scramble(number: int, packet: av.Packet) -> None:
        packet.pts = (packet.dts or 0) + 1000 * int(rng.integers(0, 50))

    video = opened(media.remuxed(media.numbered_video(60), scramble))
    indices = [frame.index for frame in video.frames(range(len(video.times)))]
    assert indices == sorted(set(indices))
    assert video.frames_damaged == len(video.times) - len(indices) >= 0


@pytest.mark.parametrize("matrix", ["YCgCo", "bt2020c", "smpte2085"])
def test_colours_that_cannot_be_converted_are_damage_not_a_crash(matrix: str) -> None:
    options = {"x264-params": f"colormatrix={matrix}"}
    video = opened(media.encode_video(media.numbered_frames(5), options=options))
    with pytest.raises(Undecodable):
        list(video.frames(range(5)))


def test_a_decoder_that_opens_on_an_unwanted_frame_still_gives_the_wanted_ones() -> None:
    coded = media.av1_video(media.group_frames(30, 0.25, 1.5))
    wanted = [3, 4, 5, 21, 22, 23, 28]
    assert [frame.index for frame in opened(coded).frames(wanted)] == wanted


def test_a_frame_lasts_until_the_next_one() -> None:
    video = opened(media.timed_video([0.0, 0.04, 0.08, 1.0, 1.04]))
    np.testing.assert_allclose(video.ends, [0.04, 0.08, 1.0, 1.04, 1.08], atol=2e-3)


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
    assert video.seconds_missing == pytest.approx(2.4 - len(video.times) / 25, abs=0.05)
    assert opened(whole).seconds_missing == 0.0


def test_a_length_nobody_can_believe_is_bounded() -> None:
    whole = media.encode_video(media.group_frames(10, 0.25, 1.5), container="matroska")
    head, mark, rest = whole.partition(b"\x44\x89\x88")  # Duration, eight bytes, in milliseconds.
    assert mark
    video = opened(head + mark + struct.pack(">d", 1e15) + rest[8:])
    assert video.seconds_missing == VideoLimits().duration - video.duration


def test_no_decodable_frame_is_an_error() -> None:
    video = opened(media.spoiled(media.numbered_video(20), 0.0, 1.0))
    with pytest.raises(Undecodable):
        list(video.frames(range(20)))


def test_frames_give_their_memory_back_at_once() -> None:
    video = opened(media.group_video(40))
    gc.collect()
    gc.disable()
    try:
        for frame in video.frames(range(40)):
            assert frame.picture[:8, :8].any()
        # By type: isinstance would ask objects of other libraries, some of which warn.
        left = sum(issubclass(type(each), av.VideoFrame) for each in gc.get_objects())
    finally:
        gc.enable()
    assert left <= 3


@pytest.mark.skipif(sys.platform != "linux", reason="threads are counted in /proc")
def test_decoding_starts_no_thread() -> None:
    def threads() -> set[str]:
        return set(os.listdir("/proc/self/task"))

    video = opened(media.group_video(5))
    before = threads()
    for _ in video.frames(range(5)):
        assert threads() <= before
