"""What members' scores become: windows, combined by the ensemble's rule."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, Literal

import numpy as np
import pytest

from service import scoring
from service.batching.batcher import Scored
from service.classifier.contract import OperatingPoint
from service.clips import Clip
from service.findings import Findings
from service.registry import Panel
from tests.onnx_models import CONTRACT

BOX = (0.0, 0.0, 1.0, 1.0)
NO_PIXELS = np.zeros((0, 0, 0, 3), np.uint8)


def member(length: int, *, cam: bool = False, **point: float) -> Any:
    contract = CONTRACT.model_copy(
        update={"clip_length": length, "operating_point": OperatingPoint(**point)}
    )
    return SimpleNamespace(
        served=SimpleNamespace(contract=contract), classifier=SimpleNamespace(has_cam=cam)
    )


def panel(*members: Any, rule: Literal["max", "mean"] | None = None) -> Panel:
    return Panel("panel", members, OperatingPoint(), rule)


def scored(track: int, frame: int, fake: float, cam: Any = None, length: int = 5) -> Scored:
    last = frame + length - 1
    own = Clip(track, frame, last, frame / 25, (last + 1) / 25, (BOX,) * length, NO_PIXELS)
    return Scored(own, fake, cam, 0.5)


def test_a_single_model_s_clips_are_the_windows() -> None:
    findings = Findings(panel(member(5, cam=True)))
    maps = np.arange(5, dtype=np.float32).reshape(5, 1, 1)
    findings.add(0, [scored(1, 0, 0.25, maps), scored(2, 0, 0.5), scored(1, 5, 0.75)])
    assert {track: [each.raw for each in clips] for track, clips in findings.clips.items()} == {
        1: [0.25, 0.75],
        2: [0.5],
    }
    assert findings.cams.keys() == {(1, 0)}
    assert findings.cams[1, 0].item() == 2.0
    assert (findings.count, findings.seconds) == (3, 1.5)


@pytest.mark.parametrize(("rule", "expected"), [("max", [0.8, 0.6]), ("mean", [0.6, 0.4])])
def test_members_are_combined_window_by_window(
    rule: Literal["max", "mean"], expected: list[float]
) -> None:
    findings = Findings(panel(member(5), member(1), rule=rule))
    findings.add(1, [scored(1, frame, 0.1 * (frame + 6), length=1) for frame in range(5)])
    assert findings.count == 0
    findings.add(0, [scored(1, 0, 0.4), scored(1, 5, 0.2)])
    assert findings.count == 1
    findings.add(1, [scored(1, frame, 0.6, length=1) for frame in range(5, 10)])
    assert [each.raw for each in findings.clips[1]] == pytest.approx(expected)
    first = findings.parts[1][1][0]
    assert (first.first_frame, first.last_frame, first.raw) == (0, 4, pytest.approx(0.8))


def test_members_are_calibrated_before_they_are_combined() -> None:
    findings = Findings(panel(member(5, offset=2.0), member(5), rule="mean"))
    findings.add(0, [scored(1, 0, 0.5)])
    findings.add(1, [scored(1, 0, 0.5)])
    expected = (1 / (1 + np.exp(-2)) + 0.5) / 2
    assert findings.clips[1][0].raw == pytest.approx(expected)


@pytest.mark.parametrize("lengths", [(5, 2), (2, 5)])
def test_windows_are_those_of_the_longest_member(lengths: tuple[int, int]) -> None:
    findings = Findings(panel(*(member(length) for length in lengths), rule="mean"))
    long, short = lengths.index(5), lengths.index(2)
    for start in (0, 5):
        for frame in (start, start + 2):
            findings.add(short, [scored(1, frame, 0.2, length=2)])
        assert findings.add(long, [scored(1, start, 0.4)]) == {1}
    assert [(each.first_frame, each.last_frame) for each in findings.clips[1]] == [(0, 4), (5, 9)]
    assert len(scoring.segments(findings.clips[1])) == 1


def test_only_what_a_map_belongs_to_is_mapped() -> None:
    assert Findings(panel(member(5), member(1, cam=True), rule="max")).mapper is None
    assert Findings(panel(member(5), member(5, cam=True), rule="max")).mapper == 1
