"""Rows of videos as tables that can be measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from service.evaluation.rows import ClipRow, ItemRow
from service.measures.levels import Level
from service.measures.table import REAL, ScoreTable

CLIPS = 1_000_000
"""Kept at most, unless it is said otherwise."""

_Row = tuple[str, str, str, str, str, int, int, int, float, float, float]


@dataclass(frozen=True, slots=True)
class Coverage:
    """What became of the videos; ``unscored`` are the errors by code."""

    items: int
    fake: int
    real: int
    ok: int
    no_face: int
    errors: int
    unscored: dict[str, int]
    called_fake: int
    """Forged videos whose verdict is fake."""
    uncertain: int
    """Videos of either label on which the model does not decide."""
    seconds: float
    """Of all videos that were looked at."""


class Tally:
    """Collects rows. Of very many clips only the first ``most`` are kept; ``complete`` says whether
    those are all."""

    def __init__(self, most: int = CLIPS) -> None:
        self.rows: list[ItemRow] = []
        self.complete = True
        self.most = most
        self._clips: list[_Row] = []
        self._faces: list[_Row] = []
        self._videos: list[_Row] = []

    def add(self, row: ItemRow) -> None:
        """Take one more row; its clips are moved to the table."""
        about = (row.id, row.group, _method(row), row.label, row.dataset)
        for face in row.faces:
            fits = self.most - len(self._clips)
            self.complete = self.complete and len(face.clips) <= fits
            self._clips += [(*about, face.id, *clip) for clip in face.clips[:fits]]
            self._faces.append((*about, face.id, 0, 0, face.start, face.end, face.score))
        if row.score is not None:
            worst = max(row.faces, key=lambda face: face.score)
            self._videos.append((*about, worst.id, 0, 0, worst.start, worst.end, row.score))
        self.rows.append(row.model_copy(update={"faces": ()}))

    def table(self, level: Level) -> ScoreTable:
        """A row for each clip (as the network scored it), face or video (as the service did);
        ``part`` is the dataset, ``method`` of forged ones as well. Videos and people (groups) are
        numbered. Frames are told of clips alone. In whatever order rows came, the table is the
        same."""
        rows = {"clip": self._clips, "face": self._faces, "video": self._videos}[level]
        # Short names: a table's column is as wide as its longest. And none that means something.
        videos = {name: f"v{n}" for n, name in enumerate(sorted(row.id for row in self.rows))}
        groups = {name: f"g{n}" for n, name in enumerate(sorted({row.group for row in self.rows}))}
        groups[""] = ""
        return ScoreTable.of([(videos[row[0]], groups[row[1]], *row[2:]) for row in sorted(rows)])

    def clips(self, names: Collection[str]) -> dict[str, dict[int, list[ClipRow]]]:
        """By video and face, in the order of faces and of time."""
        found: dict[str, dict[int, list[ClipRow]]] = {name: {} for name in names}
        for name, *_, face, first, last, start, end, score in sorted(
            row for row in self._clips if row[0] in found
        ):
            found[name].setdefault(face, []).append(ClipRow(first, last, start, end, score))
        return found

    def datasets(self) -> list[str]:
        """In the order of their names."""
        return sorted({row.dataset for row in self.rows})

    def coverage(self, dataset: str | None = None) -> Coverage:
        """Of one dataset, or of all."""
        return _coverage([row for row in self.rows if dataset in (None, row.dataset)])

    def mistakes(self, most: int) -> Iterator[ItemRow]:
        """Scored rows on the wrong side of their threshold, the farthest first."""
        wrong = [row for row in self.rows if _excess(row) > 0]
        yield from sorted(wrong, key=lambda row: (-_excess(row), row.id))[:most]


def _method(row: ItemRow) -> str:
    if row.label == "real":
        return REAL
    return "fake" if row.dataset in ("", REAL) else row.dataset


def _excess(row: ItemRow) -> float:
    """How far a score lies beyond the threshold on the wrong side; 0 or less: on the right one."""
    if row.score is None or row.threshold is None:
        return 0.0
    if row.label == "fake":
        return row.threshold - row.score
    # A score that reaches the threshold is called fake.
    return max(row.score - row.threshold, 1e-12) if row.score >= row.threshold else 0.0


def _coverage(rows: Sequence[ItemRow]) -> Coverage:
    status = Counter(row.status for row in rows)
    label = Counter(row.label for row in rows)
    return Coverage(
        items=len(rows),
        fake=label["fake"],
        real=label["real"],
        ok=status["ok"],
        no_face=status["no_face"],
        errors=status["error"],
        unscored=dict(sorted(Counter(row.code for row in rows if row.code).items())),
        called_fake=sum(row.label == "fake" and row.verdict == "fake" for row in rows),
        uncertain=sum(row.verdict == "uncertain" for row in rows),
        seconds=sum(row.duration or 0.0 for row in rows),
    )
