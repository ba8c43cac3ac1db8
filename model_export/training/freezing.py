"""Freezing layers, counted as the papers count: over the layer list of the Keras original.

Frozen batch norms keep their statistics too, as the papers say. (The released code meant to, but
its statistics still moved.)
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from model_export.detector import Detector
from model_export.errors import TrainingError

_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


@dataclass(frozen=True, slots=True)
class Frozen:
    """The first ``count`` of ``layers`` are frozen, ``parameters`` of them; ``trained`` are not.
    Batch-norm statistics count, as in Keras."""

    rule: str
    count: int
    layers: int
    parameters: int
    trained: int

    def __str__(self) -> str:
        if not self.count:
            return f"nothing frozen: {self.trained:,} parameters"
        return (
            f"{self.rule}: layers 0 to {self.count - 1} of {self.layers} frozen; "
            f"{self.trained:,} parameters are trained, {self.parameters:,} are not"
        )


def frozen_count(rule: str, layers: int) -> int:
    """How many of ``layers`` a rule of ``RunConfig.freeze`` freezes, from the first on."""
    kind, _, number = rule.partition(":")
    count = {
        "none": 0,
        "first_half": layers // 2,
        "first": int(number or 0),
        "all_but_last": layers - int(number or 0),
    }[kind]
    return min(max(count, 0), layers)


def freeze(model: Detector, rule: str) -> Frozen:
    """Freeze by ``rule`` (none, first_half, first:N, all_but_last:N), in place.

    first_half: WWW '21; first:120: the 2020 paper; all_but_last:120: the released code. Raises
    ``TrainingError`` where nothing is left to train.
    """
    order = model.layer_order()
    count = frozen_count(rule, len(order))
    modules = [module for _, module in order[:count] if module is not None]
    for module in modules:
        module.requires_grad_(False)
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise TrainingError(f"freeze: {rule} leaves nothing of {len(order)} layers to train")
    parameters = sum(_size(module) for module in modules)
    return Frozen(rule, count, len(order), parameters, _size(model) - parameters)


def training_mode(model: nn.Module) -> None:
    """``model.train()``, but for frozen batch norms, which stay in inference mode."""
    model.train()
    for module in model.modules():
        if isinstance(module, _NORMS) and not any(p.requires_grad for p in module.parameters()):
            module.eval()


def _size(module: nn.Module) -> int:
    counters = "num_batches_tracked"
    return sum(t.numel() for name, t in module.state_dict().items() if not name.endswith(counters))
