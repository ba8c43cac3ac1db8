"""A network elsewhere in the cluster, in the place of one of this process."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from ray.exceptions import RayActorError
from ray.serve.exceptions import DeploymentUnavailableError

from deploy.ray.networks import Answer, Network
from service.classifier.classifier import ClipScores
from service.classifier.contract import ModelContract
from service.engine import ServedModel
from service.errors import NotReady, ServiceError
from service.settings import ModelSettings

_TRIES = 3
"""Replicas that may die under one batch, or have other networks."""
_RETRY_AFTER = 5.0
_PATIENCE = 120.0
"""Seconds for a batch: replicas that died must be started and have loaded by then."""


class RemoteNetworks:
    """Those behind a handle of the deployment ``Networks``."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle
        self.changed: Callable[[], object] = lambda: None
        """Called, on whichever thread, where they are seen not to be those of the last ``load``."""
        self._asked = float("-inf")

    def load(
        self, settings: ModelSettings, first: bool
    ) -> Sequence[tuple[ServedModel, RemoteNetwork]]:
        """A ``service.registry.Load``: the first time it waits until there are any."""
        response = self._handle.networks.remote()
        found: list[Network] = response.result(timeout_s=None if first else _PATIENCE)
        self._asked = time.monotonic()
        return [(each.served, RemoteNetwork(self._handle, each, self._others)) for each in found]

    def _others(self) -> None:
        """A network of the last ``load`` is not there any more. While replicas differ, no answer
        would help for long: it is not asked for at once again."""
        now = time.monotonic()
        if now - self._asked >= _RETRY_AFTER:
            self._asked = now
            self.changed()


class RemoteNetwork:
    """A ``service.classifier.classifier.Scorer``. ``gone`` is told when no replica has it."""

    sizes = (1,)
    """Where it is, it has been tried with all."""

    def __init__(
        self, handle: Any, network: Network, gone: Callable[[], None] = lambda: None
    ) -> None:
        self._handle, self._sha256, self._gone = handle, network.served.sha256, gone
        self.contract: ModelContract = network.served.contract
        self.has_cam = network.has_cam

    def score(self, clips: NDArray[np.uint8], *, cam: bool = False) -> ClipScores:
        """See ``Scorer``. A replica that dies, or has another network meanwhile, is replaced by one
        that scores the same. Raises ``NotReady`` where none can score."""
        others = False
        for _ in range(_TRIES):
            response = self._handle.score.remote(self._sha256, clips, cam)
            try:
                answer: Answer = response.result(timeout_s=_PATIENCE)
            except RayActorError:
                continue
            except DeploymentUnavailableError:
                break
            except TimeoutError:
                response.cancel()
                break
            if answer.reason != "unknown":
                return _scores(answer)
            others = True
        if others:
            self._gone()
            raise NotReady("the networks are being replaced", retry_after=_RETRY_AFTER)
        raise NotReady("no network can be reached", retry_after=_RETRY_AFTER)


def _scores(answer: Answer) -> ClipScores:
    if answer.scores is not None:
        return answer.scores
    if answer.reason == "memory":
        raise MemoryError("the device has no memory for so many clips")
    raise ServiceError("the network could not score")
