"""Networks elsewhere that cannot be asked: what callers are told, with which code."""

from __future__ import annotations

import json

from tests.operate.ray.clusters import inside, needs_ray

pytestmark = needs_ray


def test_every_way_to_fail_has_a_code_and_a_time_to_try_again() -> None:
    lines = inside(["-m", "tests.operate.ray.refusals"]).splitlines()
    told = {name: rest for name, *rest in map(json.loads, lines)}
    assert told == {
        "well": ["scores", [0.5]],
        "replica lost": ["scores", [0.5]],
        "replicas lost again and again": [503, "not_ready", 5.0],
        "too many wait": [429, "busy", 5.0],
        "too many wait, by their own words": [429, "busy", 12.0],
        "none there": [503, "not_ready", 5.0],
        "none answers": [503, "not_ready", 5.0],
        "other networks there": [503, "not_ready", 5.0],
        # The service tries again with half as many.
        "no memory": ["MemoryError"],
        "cannot score": [500, "internal", None],
    }
