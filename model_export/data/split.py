"""Parts that share nobody: made, kept and proven.

A detector that has seen a person or a source video in training recognises it in the test, and the
figures mean nothing. So nothing that is read is handed on before ``prove_disjoint`` took it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from model_export.data.naming import drawn
from model_export.data.reading import LeftOut, Overlap
from model_export.data.video import PARTS, LabelledVideo, Part
from model_export.errors import DataError

Tie = tuple[str, str]
"""What holds videos together: ``person`` or ``source``, and its name."""


@dataclass(frozen=True, slots=True)
class Proof:
    """How many people and sources there are, none of them in two parts."""

    people: int
    sources: int


def ties(video: LabelledVideo) -> Iterator[Tie]:
    """The persons and sources of a video, in alphabetical order."""
    yield from (("person", name) for name in sorted(video.people))
    yield from (("source", name) for name in sorted(video.sources))


def prove_disjoint(videos: Iterable[LabelledVideo]) -> Proof:
    """Raises ``DataError`` with the first two videos that share a person or a source and are in
    different parts. Videos without a part prove nothing and harm nothing."""
    first: dict[Tie, LabelledVideo] = {}
    for video in videos:
        if video.part is None:
            continue
        for tie in ties(video):
            other = first.setdefault(tie, video)
            if other.part != video.part:
                kind, name = tie
                raise DataError(
                    f"{other.location} ({other.part}) and {video.location} ({video.part}) share "
                    f"the {kind} {name}: no {kind} may be in two parts"
                )
    kinds = Counter(kind for kind, _ in first)
    return Proof(people=kinds["person"], sources=kinds["source"])


def place(
    videos: Iterable[LabelledVideo], homes: Mapping[str, Part], overlap: Overlap
) -> tuple[list[LabelledVideo], list[LeftOut]]:
    """Put every video into the part of its people.

    ``homes`` says each person's part. A video whose people are at home in different parts is left
    out, or refused with ``DataError``; one whose people have no home is always left out.
    """
    placed: list[LabelledVideo] = []
    crossing: list[LabelledVideo] = []
    left_out: list[LeftOut] = []
    for video in videos:
        parts = sorted({homes[name] for name in video.people & homes.keys()}, key=PARTS.index)
        if not video.people <= homes.keys():
            left_out.append(LeftOut(video.location, video.method, None, "not in the split"))
        elif len(parts) > 1:
            crossing.append(replace(video, part=parts[0]))
            reason = f"its people are in {' and '.join(parts)}"
            left_out.append(LeftOut(video.location, video.method, None, reason))
        else:
            placed.append(replace(video, part=parts[0]))
    if crossing and overlap == "refuse":
        prove_disjoint([*placed, *crossing])
        raise DataError(f"{crossing[0].location} has people of two parts")
    return placed, left_out


def give_way(
    videos: Sequence[LabelledVideo], overlap: Overlap
) -> tuple[list[LabelledVideo], list[LeftOut]]:
    """Keep parts that others have drawn, without what they share.

    A training video that shares a person or source with validation or test is left out, a
    validation video that shares one with test too; or ``DataError`` refuses the first.
    """
    if overlap == "refuse":
        prove_disjoint(videos)
        return list(videos), []
    owners: dict[Tie, Part] = {}
    kept: set[str] = set()
    left_out: list[LeftOut] = []
    for part in reversed(PARTS):
        for video in (video for video in videos if video.part == part):
            others = {owners.get(tie, part) for tie in ties(video)} - {part}
            if others:
                reason = f"shares people or sources with {' and '.join(sorted(others))}"
                left_out.append(LeftOut(video.location, video.method, part, reason))
            else:
                kept.add(video.id)
                owners.update((tie, part) for tie in ties(video))
    return [video for video in videos if video.id in kept or video.part is None], left_out


def assign_by_group(
    videos: Sequence[LabelledVideo],
    ratios: Sequence[float],
    seed: int,
    together: Mapping[str, str] | None = None,
) -> list[LabelledVideo]:
    """Draw parts in which nobody is shared, in the videos' order.

    Videos that share a person or source, even through others, form a group; ``together`` names
    for a video's id something else that must not be divided (a folder). Groups are taken in an
    order drawn from ``seed`` and go to the part that has least of their methods, measured by
    ``ratios`` (train, validation, test). A group that is larger than a part should be goes to the
    largest. Raises ``DataError`` for ratios that are none.
    """
    shares = shares_of(ratios)
    largest = max(shares, key=lambda part: shares[part])
    totals = Counter(video.method for video in videos)
    have: dict[Part, Counter[str]] = {part: Counter() for part in shares}
    found = groups(videos, together)
    smallest = min(map(len, found), default=0)
    chosen: dict[str, Part] = {}
    for group in sorted(found, key=lambda group: drawn(seed, min(video.id for video in group))):
        counts = Counter(video.method for video in group)
        fitting = [
            part for part in shares if len(group) <= max(shares[part] * len(videos), smallest)
        ] or [largest]
        part = max(fitting, key=lambda part: _room(counts, have[part], totals, shares[part]))
        have[part].update(counts)
        chosen.update((video.id, part) for video in group)
    return [replace(video, part=chosen[video.id]) for video in videos]


def shares_of(ratios: Sequence[float]) -> dict[Part, float]:
    """The share of each part that is to have one; ``ratios`` need not add up to 1. Raises
    ``DataError`` if they are no ratios."""
    if len(ratios) != len(PARTS) or min(ratios) < 0 or not 0 < sum(ratios) < float("inf"):
        raise DataError(
            f"the ratios {', '.join(map(str, ratios))} are not shares of {', '.join(PARTS)}"
        )
    return {
        part: ratio / sum(ratios) for part, ratio in zip(PARTS, ratios, strict=True) if ratio > 0
    }


def groups(
    videos: Sequence[LabelledVideo], together: Mapping[str, str] | None = None
) -> list[list[LabelledVideo]]:
    """Connected components: two videos are in one if a chain of shared people and sources leads
    from one to the other."""
    nodes: dict[Tie, int] = {}
    edges: list[tuple[int, int]] = []
    for number, video in enumerate(videos):
        others = [("together", together[video.id])] if together else []
        for tie in (*ties(video), *others):
            edges.append((number, nodes.setdefault(tie, len(videos) + len(nodes))))
    size = len(videos) + len(nodes)
    ends = np.array(edges, dtype=np.intp).reshape(-1, 2).T
    graph = coo_array((np.ones(len(edges)), (ends[0], ends[1])), shape=(size, size))
    components = connected_components(graph, directed=False)[1] if size else ()
    members: defaultdict[int, list[LabelledVideo]] = defaultdict(list)
    for video, component in zip(videos, components, strict=False):
        members[int(component)].append(video)
    return list(members.values())


def require_classes(
    videos: Iterable[LabelledVideo], parts: Iterable[Part] = ("train", "validation")
) -> None:
    """Raises ``DataError`` naming the first part without a real or without a forged video."""
    there = {(video.part, video.label) for video in videos}
    for part in parts:
        for label in ("real", "fake"):
            if (part, label) not in there:
                raise DataError(f"there is no {label} video in the part {part}")


def _room(counts: Counter[str], have: Counter[str], totals: Counter[str], share: float) -> float:
    """How much of what it should have of these methods a part still lacks."""
    return sum(
        number * (1 - have[method] / (share * totals[method])) for method, number in counts.items()
    )
