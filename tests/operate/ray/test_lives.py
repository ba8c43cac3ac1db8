"""Decoders that cannot score do not start, and do not stay."""

from __future__ import annotations

import json

from tests.operate.ray.clusters import inside, needs_ray


@needs_ray
def test_a_decoder_that_cannot_score_is_not_healthy() -> None:
    lines = inside(["-m", "tests.operate.ray.lives"]).splitlines()
    assert dict(map(json.loads, lines)) == {
        "ready": None,
        "without a detector": "no detector; no model",
        "stopping": None,
    }
