"""How clip scores become segments, face scores and verdicts."""

from __future__ import annotations

import pytest

from service.classifier.contract import OperatingPoint
from service.scoring import (
    ScoredClip,
    calibrate,
    longest_gap,
    mean,
    middle_box,
    segments,
    sustained,
    verdict,
    video_verdict,
)


def clips(
    raws: list[float], *, length: int = 5, fps: float = 25.0, step: int = 5
) -> list[ScoredClip]:
    """One clip of ``length`` frames every ``step`` frames."""
    return [
        ScoredClip(n * step, n * step + length - 1, n * step / fps, (n * step + length) / fps,
                   tuple((n * step + k, 0, 1, 1) for k in range(length)), raw)
        for n, raw in enumerate(raws)
    ]  # fmt: skip


def test_a_segment_is_adjacent_clips_of_at_most_a_second() -> None:
    groups = segments(clips([0.1] * 12))
    assert [len(group) for group in groups] == [5, 5, 2]
    assert all(group[-1].end - group[0].start <= 1.0 + 1e-6 for group in groups)


def test_a_gap_starts_a_new_segment() -> None:
    made = clips([0.1] * 4)
    assert [len(group) for group in segments([made[0], made[1], made[3]])] == [2, 1]


def test_single_frame_clips_fill_a_second() -> None:
    groups = segments(clips([0.5] * 60, length=1, step=1, fps=30.0))
    assert [len(group) for group in groups] == [30, 30]


def test_a_segment_scores_its_mean() -> None:
    assert mean(clips([0.2, 0.4, 0.9])) == pytest.approx(0.5)


def test_a_face_scores_its_worst_two_seconds() -> None:
    # 20 s, forged from second 8 to 12: the mean would say 0.25, the stretch says 0.9.
    raws = [0.1] * 40 + [0.9] * 20 + [0.1] * 40
    assert sustained(clips(raws)) == pytest.approx(0.9)


def test_one_noisy_clip_does_not_make_a_face_fake() -> None:
    assert sustained(clips([0.1] * 50 + [1.0] + [0.1] * 50)) == pytest.approx(0.19)


def test_a_short_face_scores_the_mean_of_all() -> None:
    assert sustained(clips([0.0, 0.5, 1.0])) == pytest.approx(0.5)


def test_sparse_clips_need_enough_of_them() -> None:
    # One clip a second: two seconds hold two clips, too few to trust.
    sparse = clips([0.0] * 5 + [1.0] * 2 + [0.0] * 5, step=25)
    assert sustained(sparse) == pytest.approx(2 / 6)


def test_verdict_bands() -> None:
    point = OperatingPoint(threshold=0.5, uncertain_low=0.4, uncertain_high=0.7)
    assert [verdict(score, point) for score in (0.39, 0.4, 0.69, 0.7)] == [
        "real",
        "uncertain",
        "uncertain",
        "fake",
    ]


def test_a_model_that_abstains_never_decides() -> None:
    assert verdict(0.99, OperatingPoint(abstain="too weak")) == "uncertain"


def test_calibration_keeps_order_and_is_the_identity_by_default() -> None:
    assert calibrate(0.3, OperatingPoint()) == 0.3
    point = OperatingPoint(scale=2.0, offset=1.0)
    scores = [calibrate(raw, point) for raw in (0.0, 0.2, 0.5, 1.0)]
    assert scores == sorted(scores)
    assert scores[2] == pytest.approx(0.7310586)
    assert 0 <= scores[0] < scores[-1] <= 1


def test_one_forged_face_makes_the_video_fake() -> None:
    assert video_verdict(["real", "fake", "uncertain"], any_face_seen=True) == "fake"
    assert video_verdict(["real", "uncertain"], any_face_seen=True) == "uncertain"
    assert video_verdict(["real"], any_face_seen=True) == "real"
    assert video_verdict([], any_face_seen=True) == "unable"
    assert video_verdict([], any_face_seen=False) == "no_face"


def test_longest_gap_counts_both_ends() -> None:
    assert longest_gap([(1.0, 2.0), (1.5, 3.0), (7.0, 9.0)], 10.0) == pytest.approx(4.0)
    assert longest_gap([(3.0, 9.5)], 10.0) == pytest.approx(3.0)
    assert longest_gap([(0.0, 5.0)], 10.0) == pytest.approx(5.0)
    assert longest_gap([], 10.0) == pytest.approx(10.0)


def test_a_segments_box_is_its_middle_frames() -> None:
    assert middle_box(clips([0.1] * 2))[0] == 4  # frames 0 to 9
    assert middle_box(clips([0.1] * 5))[0] == 12
    assert middle_box(clips([0.1]))[0] == 2


def test_calibration_never_overflows() -> None:
    steep = OperatingPoint(scale=1e6, offset=-3.0)
    assert calibrate(0.0, steep) == 0.0
    assert calibrate(1.0, steep) == 1.0
