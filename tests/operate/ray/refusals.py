"""What becomes of a batch whose replica fails in some way, as a line of JSON for each.

Run in the environment that has Ray, without a cluster.
"""

from __future__ import annotations

import json
import logging
from typing import Any
from unittest.mock import patch

import numpy as np
from ray.exceptions import ActorDiedError
from ray.serve._private.common import DeploymentID
from ray.serve.exceptions import DeploymentUnavailableError

from deploy.ray import remote
from deploy.ray.networks import Answer, Call, Network, Networks
from deploy.ray.remote import RemoteNetwork, RemoteNetworks
from service.classifier.classifier import ClipScores
from service.engine import ServedModel
from service.errors import ServiceError
from service.logs import JsonFormatter
from service.settings import ModelSettings
from tests.onnx_models import CONTRACT

CLIP = np.zeros((1, 5, 32, 32, 3), np.uint8)
NETWORK = Network(ServedModel(CONTRACT, "0" * 64, "CPUExecutionProvider"), has_cam=False)
GOOD = Answer(ClipScores(np.array([0.5], np.float32), None))
OTHER = Answer(None, "unknown")
OUTCOMES: dict[str, list[Any]] = {
    "well": [GOOD],
    "replica lost": [ActorDiedError(), GOOD],
    "replicas lost again and again": [ActorDiedError()] * 3,
    "none there": [DeploymentUnavailableError(DeploymentID("Networks", "deepfake"))],
    "none answers": [TimeoutError()],
    "another network at one replica": [OTHER, GOOD],
    "another network at all": [OTHER] * 3,
    "no memory": [Answer(None, "memory")],
    "cannot score": [Answer(None, "failed")],
}


class Handle:
    """Gives outcomes one after the other."""

    def __init__(self, outcomes: list[Any]) -> None:
        self.score = self.networks = self
        self._outcomes = list(outcomes)

    def remote(self, *given: Any) -> Handle:
        return self

    def cancel(self) -> None:
        pass

    def result(self, *, timeout_s: float | None) -> Any:
        outcome = self._outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


def batch(outcomes: list[Any]) -> list[Any]:
    """What is told of one batch."""
    gone: list[str] = []
    network = RemoteNetwork(Handle(outcomes), NETWORK, lambda: gone.append("gone"))
    try:
        return ["scores", network.score(CLIP).fake.tolist(), *gone]
    except ServiceError as error:
        return [error.status, error.code, error.retry_after, *gone]
    except Exception as error:
        return [type(error).__name__, *gone]


def changes(times: list[float]) -> list[int]:
    """How often other networks had been noticed after a batch at each of these times, in seconds
    since they were asked for."""
    networks, noticed = RemoteNetworks(Handle([[NETWORK], *[OTHER] * 3 * len(times)])), [0]
    found = []

    def changed() -> None:
        noticed[0] += 1

    networks.changed = changed
    with patch.object(remote.time, "monotonic", lambda: 0.0):
        ((_, network),) = networks.load(ModelSettings(), True)
    for at in times:
        with patch.object(remote.time, "monotonic", lambda at=at: at):
            try:
                network.score(CLIP)
            except ServiceError:
                found.append(noticed[0])
    return found


class Failing:
    """A classifier that quotes what it was given."""

    def score(self, clips: Any, *, cam: bool) -> ClipScores:
        raise ValueError("secret")


def failure() -> list[Any]:
    """How a replica of the networks answers and logs that it cannot score."""
    networks = Networks.__new__(Networks)
    networks._loaded = {"0" * 64: (NETWORK.served, Failing())}  # type: ignore[dict-item]
    lines: list[dict[str, Any]] = []

    class Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(json.loads(JsonFormatter().format(record)))

    logging.getLogger("service").addHandler(Lines())
    answers = networks._scored([Call("0" * 64, CLIP, False), Call("1" * 64, CLIP, False)])
    (line,) = lines
    told = {name: line[name] for name in ("level", "event", "exception")}
    assert "secret" not in json.dumps(line)
    return [[answer.reason for answer in answers], told, line["at"].split(":")[0]]


def main() -> None:
    """Print them."""
    for name, outcomes in OUTCOMES.items():
        print(json.dumps([name, *batch(outcomes)]))
    print(json.dumps(["changes", *changes([1.0, 6.0, 7.0, 12.0])]))
    print(json.dumps(["failure", *failure()]))


if __name__ == "__main__":
    main()
