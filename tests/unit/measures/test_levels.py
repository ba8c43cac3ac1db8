"""Faces and videos score as the service scores them."""

from __future__ import annotations

import numpy as np
import pytest

from service.measures.levels import at_level
from service.measures.table import ScoreTable, concatenate
from service.scoring import ScoredClip, sustained
from tests.unit.model_export.evaluation.made import table_of


def _service(scores: list[float]) -> float:
    return sustained(
        [
            ScoredClip(5 * n, 5 * n + 4, n / 5, (n + 1) / 5, ((0.0, 0.0, 1.0, 1.0),) * 5, score)
            for n, score in enumerate(scores)
        ]
    )


def _track(table: ScoreTable, track: int) -> ScoreTable:
    values = {name: getattr(table, name) for name in ScoreTable.__slots__}
    return ScoreTable(**{**values, "track": np.full(len(table), track)})


def test_a_face_scores_as_in_the_service() -> None:
    rng = np.random.default_rng(0)
    videos = [(f"v{n}", f"p{n}", "DF", rng.random(3 + 9 * n).tolist()) for n in range(6)]
    table = table_of(*videos)
    shuffled = table.take(rng.permutation(len(table)))
    faces = at_level(shuffled, "face")
    assert faces.video.tolist() == [f"v{n}" for n in range(6)]
    assert faces.score.tolist() == [_service(list(video[3])) for video in videos]
    # Two seconds' worst stretch, not the mean of everything.
    assert faces.score[-1] > np.mean(videos[-1][3]) + 0.05


def test_a_video_scores_its_worst_face() -> None:
    calm, forged = table_of(("v", "a", "DF", [0.1] * 12)), table_of(("v", "a", "DF", [0.8] * 12))
    other = table_of(("w", "b", "real", [0.3] * 12))
    table = concatenate([_track(calm, 0), _track(forged, 7), _track(other, 0)])
    faces, videos = at_level(table, "face"), at_level(table, "video")
    assert faces.score == pytest.approx([0.1, 0.8, 0.3])
    assert videos.video.tolist() == ["v", "w"]
    assert videos.score == pytest.approx([0.8, 0.3])
    assert videos.track.tolist() == [7, 0]
    assert videos.method.tolist() == ["DF", "real"]


def test_a_face_spans_its_clips() -> None:
    face = at_level(table_of(("v", "a;b", "DF", [0.1] * 12)), "face")
    assert (face.first_frame[0], face.last_frame[0]) == (0, 59)
    assert (face.start[0], face.end[0]) == pytest.approx((0.0, 2.4))
    assert face.people[0] == "a;b"


def test_clips_stay_and_nothing_stays_nothing() -> None:
    table = table_of(("v", "a", "DF", [0.1] * 3))
    assert at_level(table, "clip") is table
    assert (
        len(at_level(ScoreTable.of([]), "face")) == len(at_level(ScoreTable.of([]), "video")) == 0
    )
