"""Networks elsewhere that cannot be asked: what callers are told, with which code."""

from __future__ import annotations

import json

from deploy.ray.cluster import ENVIRONMENT, SYSTEM_CONFIG
from tests.operate.ray.clusters import inside, needs_ray

pytestmark = needs_ray


def test_every_way_to_fail_has_a_code_and_a_time_to_try_again() -> None:
    lines = inside(["-m", "tests.operate.ray.refusals"]).splitlines()
    told = {name: rest for name, *rest in map(json.loads, lines)}
    assert told == {
        "well": ["scores", [0.5]],
        "replica lost": ["scores", [0.5]],
        "replicas lost again and again": [503, "not_ready", 5.0],
        "none there": [503, "not_ready", 5.0],
        "none answers": [503, "not_ready", 5.0],
        "another network at one replica": ["scores", [0.5]],
        "another network at all": [503, "not_ready", 5.0, "gone"],
        # The service tries again with half as many.
        "no memory": ["MemoryError"],
        "cannot score": [500, "internal", None],
        # Asked for anew, but not again and again.
        "changes": [0, 1, 1, 2],
        "failure": [
            ["failed", "unknown"],
            {"level": "error", "event": "scoring failed", "exception": "ValueError"},
            "score",
        ],
    }


CLUSTERS = """
from ray._private.state import state
from deploy.ray.cluster import SYSTEM_CONFIG, NotPrivate, require_private

changes = {"max_direct_call_object_size": 102400}, {"automatic_object_spilling_enabled": True}
for change in ({}, *changes):
    state.get_system_config = lambda: {**SYSTEM_CONFIG, **change}
    try:
        require_private()
    except NotPrivate as error:
        print(error)
    else:
        print("taken")
"""


def test_clusters_that_may_write_media_to_a_disk_are_refused() -> None:
    taken, *refused = inside(["-c", CLUSTERS], ENVIRONMENT).splitlines()
    assert taken == "taken"
    assert len(refused) == 2
    assert all(json.dumps(dict(SYSTEM_CONFIG)) in words for words in refused)
    without = inside(["-c", CLUSTERS], dict.fromkeys(ENVIRONMENT, "")).splitlines()
    assert without[0].startswith("start every node with RAY_SERVE_HTTP_PROXY_CALLBACK")
