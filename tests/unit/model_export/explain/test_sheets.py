"""Contact sheets."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from model_export.data.prepared import PreparedDataset
from model_export.explain.choice import Selection, drawn_clips
from model_export.explain.sheets import contact_sheet, scored

from .conftest import network, opened


def test_the_worst_mistake_stands_first(dataset: PreparedDataset) -> None:
    drawn = drawn_clips(dataset, Selection(videos=("r2", "r3", "d1", "d2", "n1"), count=1))
    given = zip(drawn, (0.3, 0.8, 0.9, 0.05, 0.6), strict=True)
    clips = [replace(clip, score=score) for clip, score in given]
    sheet = contact_sheet(clips, "title")
    assert sheet.title == "title"
    assert len(sheet.columns) == 5
    order = [row.caption.split("\n")[0] for row in sheet.rows]
    assert order == ["d2", "r3", "n1", "r2", "d1"]
    assert sheet.rows[0].caption.endswith("P(fake) 0.05")
    by_id = {clip.video.id: clip for clip in clips}
    for name, row in zip(order, sheet.rows, strict=True):
        for cell, frame in zip(row.cells, by_id[name].pixels, strict=True):
            assert cell is not None
            assert np.array_equal(cell, frame)


def test_without_scores_the_order_is_kept(dataset: PreparedDataset) -> None:
    clips = drawn_clips(dataset, Selection(count=3))
    sheet = contact_sheet(clips, "")
    assert [row.caption for row in sheet.rows] == [clip.caption for clip in clips]
    assert not any("P(fake)" in row.caption for row in sheet.rows)


def test_a_model_scores_the_clips(dataset: PreparedDataset) -> None:
    model = opened(network())
    clips = drawn_clips(dataset, Selection(count=2))
    found = scored(clips, model)
    assert [clip.video for clip in found] == [clip.video for clip in clips]
    assert [clip.score for clip in found] == [model.maps(clip.pixels)[0] for clip in clips]
    assert len({clip.score for clip in found}) > 1
