"""Who is in which part, where fakes tie the people of a whole dataset together.

In DeepFakeDetection and Celeb-DF everybody was swapped with many others, so that all of it is one
group and nothing can be assigned by groups. Dividing the people instead costs the fakes that lie
between the parts; how many is a matter of who goes where, so the better of many divisions is
sought.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from model_export.data.video import PARTS, LabelledVideo, Part

STARTS = 8
"""Random divisions from which better ones are sought."""

NOTHING = 1e-4
"""What a part counts that has no video of a class: far less than any that has one."""

BETTER = 1e-9
"""What a division must gain to count as better. Equally good ones differ by the rounding of
logarithms, which is not the same on every machine; others by far more."""

Counts = NDArray[np.float64]


def draw_people(
    videos: Sequence[LabelledVideo], wanted: Mapping[Part, tuple[int, int]], seed: int
) -> dict[str, Part]:
    """Person to part, such that the parts hold as much as can be had of the ``wanted`` numbers of
    (real, forged) videos. A part holds a video if it has all of its people, at most two.

    Hill climbing from random divisions: one person is moved at a time while that helps. The same
    ``seed`` and videos give the same parts on every machine.
    """
    people = sorted({name for video in videos for name in video.people})
    if not people:
        return {}
    together = _together(videos, people)
    aims = np.array([wanted[part] for part in PARTS], dtype=np.float64).T
    rng = np.random.default_rng(seed)
    # The pairs within a part grow with the square of its people.
    likely = np.sqrt(aims.sum(axis=0))
    best, most = np.zeros(len(people), dtype=np.intp), -np.inf
    for _ in range(STARTS):
        parts = rng.choice(len(PARTS), len(people), p=likely / likely.sum())
        reached = _climb(parts, together, aims, rng)
        if reached > most + BETTER:
            best, most = parts, reached
        if most > -BETTER:
            break
    return {name: PARTS[part] for name, part in zip(people, best, strict=True)}


def _together(videos: Sequence[LabelledVideo], people: Sequence[str]) -> Counts:
    """How often two people are in a video together, (2, P, P) for real and forged, symmetric; on
    the diagonal, how often somebody is alone."""
    index = {name: number for number, name in enumerate(people)}
    counts = np.zeros((2, len(people), len(people)))
    for video in videos:
        one, *others = sorted(index[name] for name in video.people)
        other = others[0] if others else one
        label = int(video.label == "fake")
        counts[label, one, other] += 1
        if other != one:
            counts[label, other, one] += 1
    return counts


def _climb(
    parts: NDArray[np.intp], together: Counts, aims: Counts, rng: np.random.Generator
) -> float:
    """Improve ``parts`` (P,) in place until no single move helps; returns how well the ``aims``
    (2, 3) are met, 0 if entirely."""
    alone = np.diagonal(together, axis1=1, axis2=2)
    member = np.eye(len(PARTS))[parts]
    held = (np.einsum("lij,ip,jp->lp", together, member, member) + alone @ member) / 2
    reached = _met(held, aims)
    moved = True
    while moved:
        moved = False
        for person in rng.permutation(len(parts)):
            old = parts[person]
            # What each part gains with this person, (2, 3), and what the old one loses.
            gain = together[:, person] @ member
            gain[:, old] -= alone[:, person]
            gain += alone[:, person, None]
            for new in range(len(PARTS)):
                changed = held.copy()
                changed[:, old] -= gain[:, old]
                changed[:, new] += gain[:, new]
                if _met(changed, aims) > reached + BETTER:
                    held, reached, moved = changed, _met(changed, aims), True
                    member[person] = np.eye(len(PARTS))[new]
                    parts[person] = old = new
    return reached


def _met(held: Counts, aims: Counts) -> float:
    """The mean of logarithms, so that no part is starved to fill another; more than is aimed at
    counts nothing."""
    filled = np.minimum(held, aims) / np.maximum(aims, 1)
    return float(np.log(np.maximum(filled, NOTHING))[aims > 0].mean())
