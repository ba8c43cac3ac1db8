"""What the GPU's benchmark makes of times and profiles."""

from __future__ import annotations

import pytest

from benchmarks.gpu import GOALS, NAIVE, compared, verdict
from benchmarks.pairs import Spread
from benchmarks.profiled import spent
from benchmarks.worker import Run

BASE = "torch float32"


def run(seconds: float) -> Run:
    return Run(seconds, seconds, [0.5])


def test_a_share_is_of_the_fastest_product() -> None:
    runs = {BASE: [run(6.0)] * 3, NAIVE: [run(3.0)] * 3, "float16": [run(1.0), run(2.0), run(0.5)]}
    rates = {"float16": 800.0, "float32": 100.0}
    found = compared(4, runs["float16"], runs, 100e9, rates)
    assert found["share"].middle == pytest.approx(4 * 100 / 1.0 / 800)
    assert found[BASE] == Spread(6.0, 3.0, 12.0)
    assert found[NAIVE] == Spread(3.0, 1.5, 6.0)
    assert "share" not in compared(4, runs["float16"], runs, 100e9, {})


def test_goals_are_held_on_a_gpu_alone() -> None:
    best = {"share": 0.49, BASE: 5.0}
    words = verdict(best, "cuda")
    assert f"share 0.49 of {GOALS['share']:g}: missed" in words
    assert f"{BASE} 5.00 of 5: reached" in words
    assert f"{NAIVE}: not measured" in words
    assert "no goal is held" in verdict(best, "cpu")


def test_a_profile_counts_the_last_run_and_each_node_once() -> None:
    def event(cat: str, name: str, ts: int, dur: int, **args: str) -> dict[str, object]:
        return {"cat": cat, "name": name, "ts": ts, "dur": dur, "args": args}

    events = [
        event("Session", "model_run", 0, 50),
        event("Node", "a_kernel_time", 1, 40, op_name="Conv"),
        event("Session", "model_run", 100, 50),
        event("Node", "a_fence_before", 101, 5, op_name="Conv"),
        event("Node", "a_kernel_time", 102, 7, op_name="Conv"),
        event("Node", "b_kernel_time", 110, 4, op_name="Conv"),
        event("Node", "c_kernel_time", 115, 20, op_name="Mul"),
        event("Kernel", "gemm_f16", 103, 6),
    ]
    found = spent(events)
    assert found["Node"] == [("Mul", 1, 20), ("Conv", 2, 11)]
    assert found["Kernel"] == [("gemm_f16", 1, 6)]
