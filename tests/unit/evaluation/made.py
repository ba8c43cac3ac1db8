"""Rows made for tests."""

from __future__ import annotations

from collections.abc import Sequence

from service.evaluation.manifest import Item, Label
from service.evaluation.rows import ClipRow, FaceRow, ItemRow
from service.report import Verdict


def item(number: int, **fields: str) -> Item:
    about = {"id": f"i{number}", "label": "fake", "url": f"http://site.test/{number}"}
    return Item.model_validate(about | fields)


def scored(
    name: str,
    label: Label,
    *faces: Sequence[float],
    dataset: str = "",
    group: str = "",
    sha256: str = "a" * 64,
) -> ItemRow:
    """A row of faces given by the scores of their clips; a face scores the mean of them."""
    made = [
        FaceRow(
            id=number,
            start=0.0,
            end=len(clips) / 5,
            score=sum(clips) / len(clips),
            clips=tuple(
                ClipRow(5 * n, 5 * n + 4, n / 5, (n + 1) / 5, score)
                for n, score in enumerate(clips)
            ),
        )
        for number, clips in enumerate(faces)
    ]
    score = max(face.score for face in made)
    verdict: Verdict = "fake" if score >= 0.5 else "real"
    return ItemRow(
        id=name,
        label=label,
        dataset=dataset,
        group=group,
        status="ok",
        verdict=verdict,
        calibration="by hand",
        score=score,
        faces=tuple(made),
        threshold=0.5,
        model="m 1",
        sha256=sha256,
        strategy="single",
        duration=2.0,
    )


def lacking(name: str, label: Label, code: str | None = None, dataset: str = "") -> ItemRow:
    """A row without a score: of an error, or without a face."""
    return ItemRow(
        id=name,
        label=label,
        dataset=dataset,
        group="",
        status="error" if code else "no_face",
        code=code,
        verdict=None if code else "no_face",
        threshold=None if code else 0.5,
        sha256=None if code else "a" * 64,
        model=None if code else "m 1",
    )
