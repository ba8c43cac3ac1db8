"""PyTorch with weights and activations in what ``variant`` names, such as ``float16``.

Channels come last in memory, as tensor cores want them. ``variant`` may end in `` compiled``.
"""

from __future__ import annotations

from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from benchmarks.networks import Plain
from benchmarks.networks import load as load_network
from benchmarks.ways import eager
from benchmarks.worker import Task, Way


class Short(nn.Module):
    """P(fake) float32 (N,) of uint8 (N, T, H, W, 3) RGB, scaled in float32, convolved in another
    type."""

    def __init__(self, plain: Plain, kind: torch.dtype) -> None:
        super().__init__()
        self.model = plain.model.to(kind).to(memory_format=torch.channels_last)
        self.scaling, self.kind = plain.scaling, kind

    def forward(self, clips: Tensor) -> Tensor:
        """Pixels to P(fake)."""
        pixels = self.scaling(clips.permute(0, 1, 4, 2, 3)).to(self.kind)
        return self.model.fake_probability(self.model(pixels)).float()


def load(task: Task) -> Way:
    """The network's module in another type."""
    kind, _, compiled = task.variant.partition(" ")
    module: nn.Module = Short(load_network(Path(task.path)), getattr(torch, kind))
    if compiled:
        module = cast(nn.Module, torch.compile(module))
    way = eager.of(task, module)
    return Way(f"{way.runs_on}, {task.variant}, channels last", way.score)
