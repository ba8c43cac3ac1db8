"""What becomes of a batch whose replica fails in some way, as a line of JSON for each.

Run in the environment that has Ray, without a cluster.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from ray.exceptions import ActorDiedError
from ray.serve._private.common import DeploymentID
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError

from deploy.ray.networks import Answer, Network
from deploy.ray.remote import RemoteNetwork
from service.classifier.classifier import ClipScores
from service.engine import ServedModel
from service.errors import ServiceError
from tests.onnx_models import CONTRACT

GOOD = Answer(ClipScores(np.array([0.5], np.float32), None))
OUTCOMES: dict[str, list[Answer | Exception]] = {
    "well": [GOOD],
    "replica lost": [ActorDiedError(), GOOD],
    "replicas lost again and again": [ActorDiedError()] * 3,
    "too many wait": [BackPressureError(3, 2)],
    "too many wait, by their own words": [BackPressureError(3, 2, 503, 12.0)],
    "none there": [DeploymentUnavailableError(DeploymentID("Networks", "deepfake"))],
    "none answers": [TimeoutError()],
    "other networks there": [Answer(None, "unknown")],
    "no memory": [Answer(None, "memory")],
    "cannot score": [Answer(None, "failed")],
}


class Handle:
    """Gives outcomes one after the other."""

    def __init__(self, outcomes: list[Answer | Exception]) -> None:
        self.score, self._outcomes = self, list(outcomes)

    def remote(self, *given: Any) -> Handle:
        return self

    def cancel(self) -> None:
        pass

    def result(self, *, timeout_s: float) -> Answer:
        outcome = self._outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


def main() -> None:
    """Print them."""
    network = Network(ServedModel(CONTRACT, "0" * 64, "CPUExecutionProvider"), has_cam=False)
    for name, outcomes in OUTCOMES.items():
        remote = RemoteNetwork(Handle(outcomes), network)
        try:
            scores = remote.score(np.zeros((1, 5, 32, 32, 3), np.uint8))
            told: list[Any] = ["scores", scores.fake.tolist()]
        except ServiceError as error:
            told = [error.status, error.code, error.retry_after]
        except Exception as error:
            told = [type(error).__name__]
        print(json.dumps([name, *told]))


if __name__ == "__main__":
    main()
