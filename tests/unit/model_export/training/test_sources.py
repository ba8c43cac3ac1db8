"""What a run says of the clips it takes, and what it refuses before it begins."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from model_export.data.prepared import PreparedVideo, clips_path, read_clips, write_clips
from model_export.training.sources import open_sources
from tests.unit.model_export.training.tiny import tiny_dataset, tiny_run


def test_forged_videos_that_are_left_out_are_counted_in_the_first_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tiny_dataset(tmp_path / "data")
    assert "left out" not in str(open_sources(tiny_run(data, data__twins=True), 0, 1))
    for number in (0, 2):
        path = clips_path(data, f"train-DF-{number}")
        write_clips(replace(read_clips(path), twin=None), path)
    monkeypatch.setattr(PreparedVideo, "__eq__", _compared)
    sources = open_sources(tiny_run(data, data__twins=True), 0, 1)
    assert str(sources).endswith("; 2 forged videos without a twin are left out")
    assert sources.record.videos == {"DF": 2}
    assert "left out" not in str(open_sources(tiny_run(data), 0, 1))


def _compared(one: object, other: object) -> bool:
    raise AssertionError("each row with each other takes minutes where there are thousands")
