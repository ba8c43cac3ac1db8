"""Which windows of a face become clips, and what is in them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from service.clips import Clip, ClipCutter, ClipSpec
from service.faces.crops import crop, union_box
from service.faces.detector import Box
from service.faces.tracking import TrackedFace, TrackedFrame
from service.video.frames import Frame, Still
from service.video.sampling import Plan

SPEC = ClipSpec(length=3, height=16, width=16, margin=1.2, alignment="per_frame")


def tracked(index: int, boxes: dict[int, Box]) -> TrackedFrame:
    rng = np.random.default_rng(index)
    rgb = rng.integers(0, 256, (80, 100, 3), dtype=np.uint8)
    faces = tuple(
        TrackedFace(track, box, 0.9, np.zeros((5, 2), np.float32), True)
        for track, box in boxes.items()
    )
    return TrackedFrame(Frame(index, index / 25, Still(rgb)), faces)


def box_at(x: float) -> Box:
    return (x, 20.0, x + 30.0, 60.0)


def cut(cutter: ClipCutter, frames: list[TrackedFrame]) -> list[Clip]:
    items: Iterator[TrackedFrame | Clip] = cutter.cut(frames)
    return [item for item in items if isinstance(item, Clip)]


def cutter(starts: tuple[int, ...], spec: ClipSpec = SPEC, most: int = 100) -> ClipCutter:
    return ClipCutter(
        Plan("full", spec.length, starts), (spec,), ends=np.arange(1, 101) / 25, most=most
    )


def test_a_clip_holds_its_faces_crops_in_order() -> None:
    frames = [tracked(n, {0: box_at(10 + n), 1: box_at(60)}) for n in range(6)]
    clips = cut(cutter((0, 3)), frames)
    assert [(clip.track, clip.first_frame, clip.last_frame) for clip in clips] == [
        (0, 0, 2),
        (1, 0, 2),
        (0, 3, 5),
        (1, 3, 5),
    ]
    third = clips[2]
    assert (third.start, third.end) == (3 / 25, 6 / 25)
    assert third.boxes == (box_at(13), box_at(14), box_at(15))
    for step in range(3):
        expected = crop(frames[3 + step].frame.rgb, box_at(13 + step), 1.2, (16, 16))
        np.testing.assert_array_equal(third.pixels[step], expected)


def test_clip_alignment_crops_one_common_square() -> None:
    spec = ClipSpec(3, 16, 16, 1.2, "clip")
    frames = [tracked(n, {0: box_at(10 + 4 * n)}) for n in range(3)]
    (clip,) = cut(cutter((0,), spec), frames)
    common = union_box([box_at(10), box_at(14), box_at(18)])
    for step in range(3):
        expected = crop(frames[step].frame.rgb, common, 1.2, (16, 16))
        np.testing.assert_array_equal(clip.pixels[step], expected)


def test_a_face_missing_from_a_window_gives_no_clip_and_is_counted() -> None:
    frames = [tracked(n, {0: box_at(10)} | ({1: box_at(60)} if n != 1 else {})) for n in range(3)]
    made = cutter((0,))
    assert [clip.track for clip in cut(made, frames)] == [0]
    assert made.dropped == {"face_not_in_every_frame": 1}


def test_a_missing_frame_spoils_its_window_only() -> None:
    for missing in (0, 1, 2):
        frames = [tracked(n, {0: box_at(10)}) for n in range(6) if n != missing]
        made = cutter((0, 3))
        assert [clip.first_frame for clip in cut(made, frames)] == [3]
        assert made.dropped == {"damaged_frame": 1}


def test_clips_over_the_limit_are_counted_not_made() -> None:
    frames = [tracked(n, {0: box_at(10)}) for n in range(9)]
    made = cutter((0, 3, 6), most=2)
    assert len(cut(made, frames)) == 2
    assert made.dropped == {"over_clip_limit": 1}


def test_a_box_outside_the_frame_is_counted_not_fatal() -> None:
    frames = [tracked(n, {0: (200.0, 20.0, 230.0, 60.0)}) for n in range(3)]
    made = cutter((0,))
    assert cut(made, frames) == []
    assert made.dropped == {"face_outside_frame": 1}


def test_each_spec_is_cut_from_the_same_windows_as_often_as_it_fits() -> None:
    long, short = ClipSpec(5, 16, 16, 1.2, "clip"), ClipSpec(2, 8, 12, 1.5, "per_frame")
    frames = [tracked(n, {0: box_at(10 + n), 1: box_at(60)}) for n in range(5)]
    plan = Plan("full", 5, (0,))
    both = cut(ClipCutter(plan, (long, short), ends=np.arange(1, 101) / 25, most=2), frames)
    assert [(clip.track, clip.spec, clip.first_frame, clip.last_frame) for clip in both] == [
        (0, 0, 0, 4),
        (0, 1, 0, 1),
        (0, 1, 2, 3),
        (1, 0, 0, 4),
        (1, 1, 0, 1),
        (1, 1, 2, 3),
    ]
    second = both[2]
    assert (second.start, second.end) == (2 / 25, 4 / 25)
    assert second.boxes == (box_at(12), box_at(13))
    for step in range(2):
        expected = crop(frames[2 + step].frame.rgb, box_at(12 + step), 1.5, (8, 12))
        np.testing.assert_array_equal(second.pixels[step], expected)
    (alone, _) = cut(cutter((0,), long), frames)
    np.testing.assert_array_equal(both[0].pixels, alone.pixels)


def test_the_limit_counts_windows_not_specs() -> None:
    specs = (SPEC, ClipSpec(1, 8, 8, 1.2, "per_frame"))
    frames = [tracked(n, {0: box_at(10)}) for n in range(9)]
    made = ClipCutter(Plan("full", 3, (0, 3, 6)), specs, ends=np.arange(1, 101) / 25, most=2)
    assert [clip.spec for clip in cut(made, frames)] == [0, 1, 1, 1] * 2
    assert made.dropped == {"over_clip_limit": 1}
