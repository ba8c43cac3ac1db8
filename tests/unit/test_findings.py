"""What members' scores become: windows, combined by the ensemble's rule."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, Literal

import numpy as np
import pytest

from service.batching.batcher import Scored
from service.classifier.contract import OperatingPoint
from service.findings import Findings
from service.registry import Panel
from tests.onnx_models import CONTRACT
from tests.unit.batching.test_batcher import clip


def member(length: int, *, cam: bool = False, **point: float) -> Any:
    contract = CONTRACT.model_copy(
        update={"clip_length": length, "operating_point": OperatingPoint(**point)}
    )
    return SimpleNamespace(
        served=SimpleNamespace(contract=contract), classifier=SimpleNamespace(has_cam=cam)
    )


def panel(*members: Any, rule: Literal["max", "mean"] | None = None) -> Panel:
    return Panel("panel", members, OperatingPoint(), rule)


def scored(track: int, frame: int, fake: float, cam: Any = None) -> Scored:
    return Scored(clip(track, frame), fake, cam, 0.5)


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
    findings.add(1, [scored(1, frame, 0.1 * (frame + 6)) for frame in range(5)])
    assert findings.count == 0
    findings.add(0, [scored(1, 0, 0.4), scored(1, 5, 0.2)])
    assert findings.count == 1
    findings.add(1, [scored(1, frame, 0.6) for frame in range(5, 10)])
    assert [each.raw for each in findings.clips[1]] == pytest.approx(expected)
    first = findings.parts[1][1][0]
    assert (first.first_frame, first.last_frame, first.raw) == (0, 8, pytest.approx(0.8))


def test_members_are_calibrated_before_they_are_combined() -> None:
    findings = Findings(panel(member(5, offset=2.0), member(5), rule="mean"))
    findings.add(0, [scored(1, 0, 0.5)])
    findings.add(1, [scored(1, 0, 0.5)])
    expected = (1 / (1 + np.exp(-2)) + 0.5) / 2
    assert findings.clips[1][0].raw == pytest.approx(expected)
