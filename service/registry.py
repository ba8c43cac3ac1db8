"""The models that are served: loaded, checked and warmed side by side, replaced together.

A set of models is loaded whole before it takes over from the one before, whose requests finish on
what they began with. What cannot be loaded never replaces what works.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from service.batching.batcher import Batcher
from service.batching.device import Device
from service.batching.room import Room
from service.classifier.classifier import Classifier, Scorer, load_classifier
from service.classifier.contract import OperatingPoint
from service.clips import ClipSpec
from service.engine import Rule, ServedEnsemble, ServedModel
from service.errors import ModelError, UnknownModel
from service.runtime import Gpu, out_of_memory
from service.session import CUDA, TENSORRT
from service.settings import Ensemble, ModelSettings

GPU_BATCH, CPU_BATCH = 16, 8
"""Clips in one batch at most. A processor gains little beyond, and a short video waits for whole
batches of long ones."""
BUILT_IN_MODEL = Path(__file__).parent / "models" / "clrnet-demo.onnx"

COMBINED = "an ensemble of calibrated scores; its threshold is a setting"
"""How an ensemble's operating point was found."""

Observe = Callable[[ServedModel, int], None]
"""Is told of every batch: which model scored how many clips."""

Load = Callable[[ModelSettings, bool], Sequence[tuple[ServedModel, Scorer]]]
"""Reads and checks all models of the settings, blocking; the second argument says whether they are
the first. Raises ``ModelError``."""


@dataclass(frozen=True, slots=True)
class Member:
    """A loaded model and its queue."""

    served: ServedModel
    classifier: Scorer
    batcher: Batcher


@dataclass(frozen=True, slots=True)
class Panel:
    """What scores a request: one model, or several under a ``rule``. ``point`` is the operating
    point of the whole; ``specs`` are the different ways in which the members want their clips."""

    name: str
    members: tuple[Member, ...]
    point: OperatingPoint
    rule: Rule | None = None

    @property
    def specs(self) -> tuple[ClipSpec, ...]:
        return tuple(dict.fromkeys(ClipSpec.of(each.served.contract) for each in self.members))

    def members_of(self, spec: int) -> list[int]:
        """Which members want the clips of this spec."""
        wanted = self.specs[spec]
        return [
            number
            for number, member in enumerate(self.members)
            if ClipSpec.of(member.served.contract) == wanted
        ]


class Registry:
    """Owns the served models, whose clips may wait in ``room`` bytes; ``observe`` is told of every
    batch. ``load`` is for networks elsewhere."""

    def __init__(
        self,
        settings: ModelSettings,
        room: int,
        observe: Observe = lambda served, size: None,
        load: Load | None = None,
    ) -> None:
        self._settings, self._observe = settings, observe
        self._load = load or load_models
        self._device, self._room = Device("classifier"), Room(room)
        self._panels: Mapping[str, Panel] = {}
        self._default = ""
        self._loading = asyncio.Lock()
        self._retiring: dict[Batcher, asyncio.Task[None]] = {}

    async def load(self) -> None:
        """Load all models of the settings and serve them from then on. Raises ``ModelError``
        naming the file and what is wrong with it; what was served before stays."""
        async with self._loading:
            # A GPU that works, and has no room for two sets of models, is not given up.
            first = not self._panels
            classifiers = await asyncio.to_thread(self._load, self._settings, first)
            for _, classifier in classifiers:
                async with self._device.turn():
                    await self._device.run(partial(warm, classifier))
            before = self.models()
            self._panels = self._arranged(classifiers)
            self._default = self._settings.default or next(iter(self._panels))
            for member in before:
                self._retire(member.batcher)

    def panel(self, name: str | None) -> Panel:
        """What scores under this name; None is the default. Raises ``UnknownModel``."""
        try:
            return self._panels[name or self._default]
        except KeyError:
            raise UnknownModel("No model of this name is served; see /v1/models.") from None

    def models(self) -> list[Member]:
        """Every model, the first of the settings first."""
        singles = [panel for panel in self._panels.values() if panel.rule is None]
        return [panel.members[0] for panel in singles]

    def ensembles(self) -> tuple[ServedEnsemble, ...]:
        """Every ensemble."""
        return tuple(
            ServedEnsemble(
                panel.name,
                panel.rule,
                tuple(each.served.contract.name for each in panel.members),
            )
            for panel in self._panels.values()
            if panel.rule is not None
        )

    @property
    def default(self) -> str | None:
        """Name of what scores where none is asked for; None while nothing is served."""
        return self._default or None

    @property
    def pending(self) -> int:
        """Clips that wait for the device, those for models that are being replaced too."""
        return sum(batcher.pending for batcher in self._batchers)

    @property
    def _batchers(self) -> list[Batcher]:
        return [*(each.batcher for each in self.models()), *self._retiring]

    async def close(self) -> None:
        """Stop all batchers and the device's thread."""
        for task in self._retiring.values():
            task.cancel()
        await asyncio.gather(*self._retiring.values(), return_exceptions=True)
        for batcher in self._batchers:
            await batcher.stop()
        self._panels, self._default = {}, ""
        await self._device.close()

    def _arranged(self, loaded: Sequence[tuple[ServedModel, Scorer]]) -> dict[str, Panel]:
        """Panels by name. Nothing is started before the names are seen to be right."""
        names = [served.contract.name for served, _ in loaded]
        names += [each.name for each in self._settings.ensembles]
        for name in names:
            if names.count(name) > 1:
                raise ModelError(f"two models are called '{name}'")
        for ensemble in self._settings.ensembles:
            for member in ensemble.members:
                if member not in names[: len(loaded)]:
                    raise ModelError(f"the ensemble '{ensemble.name}' needs a model '{member}'")
        if self._settings.default not in (None, *names):
            raise ModelError(f"the default model '{self._settings.default}' is not served")
        members = {served.contract.name: self._member(served, each) for served, each in loaded}
        panels = {
            name: Panel(name, (member,), member.served.contract.operating_point)
            for name, member in members.items()
        }
        for each in self._settings.ensembles:
            chosen = tuple(members[name] for name in each.members)
            panels[each.name] = Panel(each.name, chosen, _point(each, chosen), each.rule)
        return panels

    def _member(self, served: ServedModel, classifier: Scorer) -> Member:
        batcher = Batcher(
            classifier,
            self._device,
            self._room,
            batch=self._settings.batch or default_batch(served.provider),
            observe=lambda size: self._observe(served, size),
        )
        return Member(served, classifier, batcher)

    def _retire(self, batcher: Batcher) -> None:
        task = asyncio.create_task(batcher.retire())
        self._retiring[batcher] = task
        task.add_done_callback(lambda _: self._retiring.pop(batcher))


def load_models(
    settings: ModelSettings, first: bool = True
) -> list[tuple[ServedModel, Classifier]]:
    """Read and check all files of the settings; see ``Load``. The CPU stands in for a GPU for the
    ``first`` alone."""
    files = [(settings.path or BUILT_IN_MODEL, settings.sha256)]
    files += [(each.path, each.sha256) for each in settings.more]
    return [_load_one(settings, first, path, sha256) for path, sha256 in files]


def _load_one(
    settings: ModelSettings, first: bool, path: Path, sha256: str | None
) -> tuple[ServedModel, Classifier]:
    fallback = False
    expected = sha256 or _hash_beside(path)
    load = partial(
        load_classifier,
        path,
        threads=settings.threads,
        arithmetic=settings.arithmetic,
    )
    gpu = Gpu(settings.batch or GPU_BATCH, settings.cuda_graphs, settings.engines)
    try:
        classifier = load(device=settings.device, runtime=settings.runtime, gpu=gpu)
    except ModelError:
        if not (first and settings.cpu_fallback and settings.device == "cuda"):
            raise
        classifier = load(device="cpu")
        fallback = True
    if expected and not hmac.compare_digest(classifier.sha256, expected.lower()):
        raise ModelError(
            f"the model file '{path.name}' is not the one that was meant: its SHA-256 is "
            f"{classifier.sha256[:12]}..., not {expected[:12]}...; put the right file back or "
            "correct the hash"
        )
    served = ServedModel(classifier.contract, classifier.sha256, classifier.provider, fallback)
    return served, classifier


def _point(ensemble: Ensemble, members: Sequence[Member]) -> OperatingPoint:
    """Who has a member that never decides, does not decide either."""
    points = [each.served.contract.operating_point for each in members]
    return OperatingPoint(
        threshold=ensemble.threshold,
        uncertain_low=ensemble.uncertain_low,
        uncertain_high=ensemble.uncertain_high,
        calibration=COMBINED,
        abstain=next((point.abstain for point in points if point.abstain), None),
    )


def _hash_beside(path: Path) -> str | None:
    """What ``sha256sum`` wrote into ``<file>.sha256`` beside a model, where that is there."""
    try:
        words = path.with_name(f"{path.name}.sha256").read_text("ascii").split()
    except (OSError, UnicodeDecodeError):
        return None
    return words[0] if words else None


def default_batch(provider: str) -> int:
    """Clips in one batch at most, on what ``provider`` of a session names."""
    return GPU_BATCH if provider in (CUDA, TENSORRT) else CPU_BATCH


def warm(classifier: Scorer) -> None:
    """Score what a first request would wait for, which is also the proof that it can score. Raises
    ``ModelError``."""
    contract = classifier.contract
    clip = (contract.clip_length, contract.input_height, contract.input_width, 3)
    for size in classifier.sizes:
        try:
            classifier.score(np.zeros((size, *clip), np.uint8))
        except Exception as error:
            if size > 1 and out_of_memory(error):
                continue  # Smaller batches will do.
            raise ModelError(f"the model '{contract.name}' is loaded and cannot score") from error
