"""Decoders that cannot score do not start, and do not stay; one that stops waits for nobody."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.operate.ray.clusters import inside, needs_ray

pytestmark = needs_ray


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    return dict(map(json.loads, inside(["-m", "tests.operate.ray.lives"]).splitlines()))


def test_a_decoder_that_cannot_score_is_not_healthy(told: dict[str, Any]) -> None:
    assert told["ready"] is None
    assert told["without a detector"] == "no detector; no model"
    assert told["stopping"] is None


def test_a_decoder_asks_for_networks_anew_and_stops_without_waiting_for_results_to_be_fetched(
    told: dict[str, Any],
) -> None:
    assert told["life"] == ["start", "reload", "stop"]


def test_a_decoder_takes_nothing_past_the_proxies_that_are_set_up(told: dict[str, Any]) -> None:
    assert told["past"] == 503
