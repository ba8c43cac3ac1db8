"""Following faces: schedule, interpolation, identity, what counts and what is held."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pytest

from service.faces.detector import Box
from service.faces.tracking import TrackedFrame, Tracker, TrackerSettings
from service.video.frames import Frame, Still
from tests.unit.faces.fakes import Script, ScriptedDetector, frames

HERE: Box = (20.0, 20.0, 80.0, 80.0)
THERE: Box = (400.0, 20.0, 480.0, 120.0)


def moved(box: Box, dx: float, dy: float = 0.0) -> Box:
    return box[0] + dx, box[1] + dy, box[2] + dx, box[3] + dy


def follow(
    script: Script,
    indices: Iterable[int],
    cuts: Iterable[int] = (),
    **settings: float,
) -> tuple[list[TrackedFrame], ScriptedDetector, Tracker]:
    indices = list(indices)
    detector = ScriptedDetector(script)
    tracker = Tracker(detector, TrackerSettings(**settings))  # type: ignore[arg-type]
    tracked = list(tracker.follow(frames(indices, cuts)))
    assert [item.frame.index for item in tracked] == indices
    return tracked, detector, tracker


def spans(tracked: list[TrackedFrame]) -> dict[int, list[int]]:
    """Frames of each track."""
    found: dict[int, list[int]] = {}
    for item in tracked:
        for face in item.faces:
            found.setdefault(face.track, []).append(item.frame.index)
    return found


def test_detects_every_fifth_frame_and_the_last() -> None:
    tracked, detector, _ = follow(lambda _: [(HERE, 0.99)], range(13))
    assert detector.asked == [0, 5, 10, 12]
    assert spans(tracked) == {0: list(range(13))}
    assert [item.faces[0].detected for item in tracked] == [i in (0, 5, 10, 12) for i in range(13)]


def test_a_clip_is_detected_at_its_ends() -> None:
    windows = [*range(0, 5), *range(100, 105)]
    _, detector, _ = follow(lambda _: [(HERE, 0.99)], windows)
    assert detector.asked == [0, 4, 100, 104]


def test_interpolates_boxes_and_landmarks_between_two_detections() -> None:
    tracked, detector, _ = follow(lambda i: [(moved(HERE, 2.0 * i, i), 0.99)], range(6))
    assert detector.asked == [0, 5]
    for index, item in enumerate(tracked):
        assert item.faces[0].box == pytest.approx(moved(HERE, 2.0 * index, index))
        np.testing.assert_allclose(
            item.faces[0].landmarks[2], [50.0 + 2 * index, 56.0 + index], atol=1e-4
        )
    assert tracked[2].faces[0].landmarks.dtype == np.float32


def test_an_interpolated_face_has_the_lower_score() -> None:
    tracked, _, _ = follow(lambda i: [(HERE, 0.95 if i else 0.75)], range(6))
    assert [item.faces[0].score for item in tracked] == [0.75] * 5 + [0.95]


def test_frames_between_ends_that_disagree_are_all_detected() -> None:
    tracked, detector, _ = follow(lambda i: [(HERE, 0.99)] if i >= 7 else [], range(11))
    assert detector.asked == [0, 5, 10, 6, 7, 8, 9]
    assert spans(tracked) == {0: [7, 8, 9, 10]}


def test_a_fast_face_is_detected_in_every_frame() -> None:
    tracked, detector, _ = follow(lambda i: [(moved(HERE, 9.0 * i), 0.99)], range(6))
    assert sorted(detector.asked) == list(range(6))
    assert spans(tracked) == {0: list(range(6))}


def test_a_cut_ends_all_tracks_where_it_is() -> None:
    tracked, detector, _ = follow(lambda _: [(HERE, 0.99), (THERE, 0.99)], range(11), cuts=[8])
    assert spans(tracked) == {
        0: list(range(8)),
        1: list(range(8)),
        2: [8, 9, 10],
        3: [8, 9, 10],
    }
    assert {6, 7, 8, 9} <= set(detector.asked)


def test_a_cut_between_two_runs_ends_all_tracks() -> None:
    windows = [*range(0, 5), *range(20, 25)]
    assert len(spans(follow(lambda _: [(HERE, 0.99)], windows, cuts=[12])[0])) == 2
    assert len(spans(follow(lambda _: [(HERE, 0.99)], windows)[0])) == 1


def test_a_flash_is_no_cut() -> None:
    def flash() -> Iterator[Frame]:
        for frame in frames(range(11)):
            rgb = frame.rgb
            if frame.index == 7:
                rgb = np.minimum(rgb.astype(np.int32) // 2 + 120, 255).astype(np.uint8)
                rgb[0, 0] = frame.rgb[0, 0]
            yield Frame(frame.index, frame.time, Still(rgb))

    tracker = Tracker(
        ScriptedDetector(lambda _: [(HERE, 0.99)]), TrackerSettings(cut_difference=40)
    )
    assert spans(list(tracker.follow(flash()))) == {0: list(range(11))}


def test_a_face_that_leaves_and_returns_is_a_new_track() -> None:
    tracked, _, _ = follow(lambda i: [] if 20 <= i < 40 else [(HERE, 0.99)], range(60))
    assert spans(tracked) == {0: list(range(20)), 1: list(range(40, 60))}


def test_a_face_missed_for_a_moment_stays_one_track_without_a_hole() -> None:
    tracked, _, _ = follow(lambda i: [] if 18 <= i < 24 else [(HERE, 0.99)], range(40))
    assert spans(tracked) == {0: list(range(40))}
    assert not any(tracked[i].faces[0].detected for i in range(18, 24))


def test_a_hole_longer_than_the_look_ahead_stays_a_hole() -> None:
    tracked, _, _ = follow(
        lambda i: [] if 18 <= i < 27 else [(HERE, 0.99)], range(40), look_ahead=5
    )
    assert spans(tracked) == {0: [*range(18), *range(27, 40)]}


def test_faces_that_cross_keep_their_tracks() -> None:
    def script(i: int) -> list[tuple[Box, float]]:
        return [(moved(HERE, 4.0 * i), 0.97), (moved(HERE, 160.0 - 4.0 * i, 30.0), 0.98)]

    tracked, _, _ = follow(script, range(41))
    assert spans(tracked).keys() == {0, 1}
    for item in tracked:
        upper, lower = sorted(item.faces, key=lambda face: face.box[1])
        assert upper.box == pytest.approx(moved(HERE, 4.0 * item.frame.index))
        assert lower.box == pytest.approx(moved(HERE, 160.0 - 4.0 * item.frame.index, 30.0))
        assert (upper.track, lower.track) == (1, 0)


def test_follows_several_faces_that_come_and_go() -> None:
    def script(i: int) -> list[tuple[Box, float]]:
        seen = [(HERE, 0.99)]
        return [*seen, (THERE, 0.95)] if 7 <= i < 18 else seen

    tracked, _, _ = follow(script, range(30))
    assert spans(tracked) == {0: list(range(30)), 1: list(range(7, 18))}


def test_a_face_in_the_same_place_is_one_track_across_a_short_gap_only() -> None:
    near = [*range(0, 5), *range(50, 55)]
    far = [*range(0, 5), *range(500, 505)]
    assert spans(follow(lambda _: [(HERE, 0.99)], near)[0]) == {0: near}
    assert spans(follow(lambda _: [(HERE, 0.99)], far)[0]) == {0: far[:5], 1: far[5:]}


def test_nothing_is_interpolated_across_a_gap() -> None:
    windows = [*range(0, 5), *range(8, 13)]
    tracked, _, _ = follow(lambda i: [] if i in (8, 9) else [(HERE, 0.99)], windows)
    assert spans(tracked) == {0: [0, 1, 2, 3, 4, 10, 11, 12]}


def test_single_frames_make_a_track() -> None:
    tracked, detector, _ = follow(lambda _: [(HERE, 0.99)], range(0, 50, 10))
    assert detector.asked == list(range(0, 50, 10))
    assert spans(tracked) == {0: list(range(0, 50, 10))}


def test_an_unsure_face_seen_once_does_not_count() -> None:
    tracked, _, tracker = follow(
        lambda i: [(HERE, 0.99), *([(THERE, 0.7)] if i == 10 else [])], range(30)
    )
    assert spans(tracked) == {0: list(range(30))}
    assert tracker.dropped == {"unconfirmed": 1}


def test_an_unsure_face_seen_twice_counts_from_the_start() -> None:
    tracked, _, tracker = follow(lambda i: [(HERE, 0.7)], range(7))
    assert spans(tracked) == {0: list(range(7))}
    assert tracker.dropped == {}


def test_a_sure_face_seen_once_counts() -> None:
    assert spans(follow(lambda _: [(HERE, 0.95)], [3])[0]) == {0: [3]}
    assert spans(follow(lambda _: [(HERE, 0.85)], [3])[0]) == {}
    assert spans(follow(lambda _: [(HERE, 0.85)], [3], sure_score=0.8)[0]) == {0: [3]}


def test_a_detector_may_say_when_it_is_sure() -> None:
    detector = ScriptedDetector(lambda _: [(HERE, 0.75)])
    detector.sure_score = 0.7  # type: ignore[attr-defined]
    assert spans(list(Tracker(detector).follow(frames([3])))) == {0: [3]}


def test_faces_that_do_not_count_are_counted_by_reason() -> None:
    def script(_: int) -> list[tuple[Box, float]]:
        rows = [(0.0, y, 60.0, y + 60.0) for y in (0.0, 100.0, 200.0)]
        large = (300.0, 0.0, 500.0, 200.0)
        return [
            (large, 0.9),
            *((row, 0.99) for row in rows),
            ((600.0, 0.0, 630.0, 60.0), 0.99),
            ((700.0, 0.0, 800.0, 90.0), 0.4),
        ]

    tracked, detector, tracker = follow(script, range(6), most_faces=2)
    assert detector.asked == [0, 5]
    assert tracker.dropped == {"low_score": 2, "too_small": 2, "too_many": 4}
    kept = {face.box for face in tracked[0].faces}
    assert len(kept) == 2
    assert (300.0, 0.0, 500.0, 200.0) in kept


@pytest.mark.parametrize("present", [True, False])
def test_few_frames_are_held(present: bool) -> None:
    taken = 0

    def counted() -> Iterator[Frame]:
        nonlocal taken
        for frame in frames(range(200)):
            taken += 1
            yield frame

    # The face flickers, so that the tracker often waits for it.
    detector = ScriptedDetector(lambda i: [(HERE, 0.99)] if present and i % 12 < 6 else [])
    settings = TrackerSettings()
    most = settings.look_ahead + settings.detect_every + 2
    for given, _ in enumerate(Tracker(detector, settings).follow(counted())):
        assert taken - given <= most


def test_no_frames_give_nothing() -> None:
    assert follow(lambda _: [], [])[0] == []


def test_the_same_frames_give_the_same_tracks() -> None:
    def script(i: int) -> list[tuple[Box, float]]:
        rng = np.random.default_rng(i)
        seen = [(moved(HERE, *rng.normal(0, 3, 2)), float(rng.uniform(0.5, 1)))]
        return seen if rng.random() < 0.8 else [*seen, (THERE, 0.6)]

    first, second = (follow(script, range(100))[0] for _ in range(2))
    assert [[(f.track, f.box) for f in item.faces] for item in first] == [
        [(f.track, f.box) for f in item.faces] for item in second
    ]


def test_settings_that_cannot_work_are_refused() -> None:
    with pytest.raises(ValueError, match="detect_every"):
        Tracker(ScriptedDetector(lambda _: []), TrackerSettings(detect_every=0))
