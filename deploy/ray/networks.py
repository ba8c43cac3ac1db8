"""The networks, in replicas of their own: clips of all decoders in, scores out."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from ray import serve

from deploy.ray.arguments import Arguments
from deploy.ray.cluster import require_private
from deploy.ray.instruments import RayInstruments
from service import hardening, logs
from service.classifier.classifier import Classifier, ClipScores
from service.engine import ServedModel
from service.metrics import Metrics
from service.registry import default_batch, load_models, warm
from service.runtime import out_of_memory

_log = logging.getLogger("service.networks")


@dataclass(frozen=True, slots=True)
class Network:
    """One that is served."""

    served: ServedModel
    has_cam: bool


@dataclass(frozen=True, slots=True)
class Call:
    """``clips`` uint8 (N, T, H, W, 3) for the network whose file has this hash."""

    sha256: str
    clips: NDArray[np.uint8]
    cam: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """Scores, or why there are none: no such network here, no memory for so many clips, or it
    cannot score them."""

    scores: ClipScores | None
    reason: Literal["", "unknown", "memory", "failed"] = ""


def clips_of(calls: Sequence[Call]) -> int:
    """How large a batch is."""
    return sum(len(call.clips) for call in calls)


class Networks:
    """A deployment. What several decoders send at a time is scored together, never more than a
    batch of clips; what is wrong with one call does not end the others."""

    def __init__(self, arguments: Arguments) -> None:
        hardening.forbid_dumps()
        require_private()
        chosen = arguments.settings()
        logs.configure(chosen.log_level)
        self._metrics = Metrics(RayInstruments())
        self._thread = ThreadPoolExecutor(1, "networks")
        self._loaded: dict[str, tuple[ServedModel, Classifier]] = {}
        settings = chosen.model
        for served, classifier in load_models(settings):
            warm(classifier)
            self._loaded[served.sha256] = served, classifier
        provider = next(iter(self._loaded.values()))[0].provider
        self._together.set_max_batch_size(settings.batch or default_batch(provider))
        self._together.set_batch_wait_timeout_s(arguments.wait_seconds)

    async def networks(self) -> list[Network]:
        """All that are loaded, in the order of the settings."""
        return [Network(served, each.has_cam) for served, each in self._loaded.values()]

    async def score(self, sha256: str, clips: NDArray[np.uint8], cam: bool) -> Answer:
        """Scores of no more clips than a batch has."""
        answer: Answer = await self._together(Call(sha256, clips, cam))
        return answer

    @serve.batch(batch_size_fn=clips_of)  # type: ignore[untyped-decorator]
    async def _together(self, calls: list[Call]) -> list[Answer]:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._scored, calls)

    def _scored(self, calls: Sequence[Call]) -> list[Answer]:
        """On the thread of the networks: kind by kind."""
        kinds = dict.fromkeys((call.sha256, call.cam) for call in calls)
        answers: dict[int, Answer] = {}
        for kind in kinds:
            same = [at for at, call in enumerate(calls) if (call.sha256, call.cam) == kind]
            found = self._of_one_kind([calls[at] for at in same])
            answers |= zip(same, found, strict=True)
        return [answers[at] for at in range(len(calls))]

    def _of_one_kind(self, calls: Sequence[Call]) -> list[Answer]:
        if calls[0].sha256 not in self._loaded:
            return [Answer(None, "unknown")] * len(calls)
        served, classifier = self._loaded[calls[0].sha256]
        clips = [call.clips for call in calls]
        try:
            scores = classifier.score(
                clips[0] if len(clips) == 1 else np.concatenate(clips), cam=calls[0].cam
            )
        except Exception as error:
            if len(calls) > 1:
                return [answer for call in calls for answer in self._of_one_kind([call])]
            if out_of_memory(error):
                return [Answer(None, "memory")]
            _log.error("scoring failed", extra={"fields": logs.origin(error)})
            return [Answer(None, "failed")]
        told = served.contract
        self._metrics.batch(told.name, told.version, len(scores.fake))
        ends = np.cumsum([len(each) for each in clips])[:-1]
        maps = [None] * len(calls) if scores.cam is None else np.split(scores.cam, ends)
        return [
            Answer(ClipScores(fake, own))
            for fake, own in zip(np.split(scores.fake, ends), maps, strict=True)
        ]
