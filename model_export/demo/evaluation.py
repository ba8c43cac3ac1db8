"""What a model reaches on people it has never seen, by family and by person."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model_export.demo.cases import REAL, Case
from model_export.demo.pool import CLIP_LENGTH
from model_export.demo.ranking import auc, interval_over_people
from service import scoring
from service.scoring import ScoredClip

Scorer = Callable[[NDArray[np.uint8]], NDArray[np.float64]]
"""P(fake) float64 (N,) of clips uint8 (N, T, H, W, 3) RGB."""

FPS = 25


@dataclass(frozen=True, slots=True)
class ScoredCase:
    """One video's scores: of each clip, and of its face as the service scores it."""

    person: str
    kind: str
    clips: NDArray[np.float64]
    face: float

    @property
    def fake(self) -> bool:
        """Whether it is forged."""
        return self.kind != REAL


@dataclass(frozen=True, slots=True)
class Figure:
    """An AUC and, where it is over several people, its 95 % interval."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Results:
    """All figures of one set of people."""

    clip_auc: Figure
    face_auc: Figure
    by_family: dict[str, float]
    by_person: dict[str, float]
    people: int
    fake_clips: int
    real_clips: int


def score_cases(cases: Sequence[Case], scorer: Scorer) -> list[ScoredCase]:
    """Score every clip, and each face by the service's own rule."""
    scored = []
    for case in cases:
        raw = scorer(case.clips)
        timed = [
            ScoredClip(
                first_frame=first,
                last_frame=first + CLIP_LENGTH - 1,
                start=first / FPS,
                end=(first + CLIP_LENGTH) / FPS,
                boxes=((0.0, 0.0, 1.0, 1.0),) * CLIP_LENGTH,
                raw=float(value),
            )
            for first, value in zip(case.first_frames, raw, strict=True)
        ]
        scored.append(ScoredCase(case.person, case.kind, raw, scoring.sustained(timed)))
    return scored


def evaluate(scored: Sequence[ScoredCase]) -> Results:
    """AUC of clips and of faces; intervals by drawing people with replacement."""
    people = sorted({case.person for case in scored})
    families = [kind for kind in dict.fromkeys(case.kind for case in scored) if kind != REAL]
    fake, real = _clips(scored, fake=True), _clips(scored, fake=False)
    all_real = np.concatenate(list(real.values()))
    by_family = {
        family: auc(
            np.concatenate([case.clips for case in scored if case.kind == family]), all_real
        )
        for family in families
    }
    fake_faces, real_faces = (
        {
            name: np.array([c.face for c in scored if c.person == name and c.fake == forged])
            for name in people
        }
        for forged in (True, False)
    )
    return Results(
        clip_auc=_figure(fake, real),
        face_auc=_figure(fake_faces, real_faces),
        by_family=by_family,
        by_person={name: auc(fake[name], real[name]) for name in people},
        people=len(people),
        fake_clips=sum(map(len, fake.values())),
        real_clips=len(all_real),
    )


def clip_auc(scored: Sequence[ScoredCase]) -> float:
    """AUC over all clips, without an interval."""
    fake, real = _clips(scored, fake=True), _clips(scored, fake=False)
    return auc(np.concatenate(list(fake.values())), np.concatenate(list(real.values())))


def reordered(cases: Sequence[Case], order: Sequence[int]) -> list[Case]:
    """The same clips with their frames in another order (a frame may come more than once)."""
    return [
        Case(case.person, case.kind, case.clips[:, list(order)], case.first_frames)
        for case in cases
    ]


def _clips(scored: Sequence[ScoredCase], *, fake: bool) -> dict[str, NDArray[np.float64]]:
    """Clip scores by person."""
    return {
        name: np.concatenate([c.clips for c in scored if c.person == name and c.fake == fake])
        for name in sorted({case.person for case in scored})
    }


def _figure(fake: dict[str, NDArray[np.float64]], real: dict[str, NDArray[np.float64]]) -> Figure:
    value = auc(np.concatenate(list(fake.values())), np.concatenate(list(real.values())))
    low, high = interval_over_people(fake, real)
    return Figure(value, low, high)
