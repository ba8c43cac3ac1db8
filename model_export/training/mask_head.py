"""Where is it forged? A head that is there in training only."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model_export.clrnet import Block, CLRNet
from model_export.detector import Detector
from model_export.errors import TrainingError

BLOCKS = 2
"""It reads the first ones, whose maps are still fine."""


class MaskHead(nn.Module):
    """Reads a CLRNet's first blocks while it trains and says for each place whether it is forged.

    A label for each place teaches the early layers far sooner than one label for a clip does.
    Raises ``TrainingError`` for other networks.
    """

    def __init__(self, model: Detector) -> None:
        super().__init__()
        if not isinstance(model, CLRNet):
            raise TrainingError(f"mask_weight: only a clrnet has a mask head, {model.architecture}")
        self.layers = nn.ModuleList()
        self._seen: list[Tensor] = []
        for block in list(model.blocks)[:BLOCKS]:
            assert isinstance(block, Block)
            self.layers.append(nn.Conv2d(block.conv3.filters, 1, 1))
            block.register_forward_hook(self._keep)

    def _keep(self, module: nn.Module, inputs: object, output: Tensor) -> None:
        if module.training:
            self._seen.append(output)

    def loss(self, mask: Tensor) -> Tensor:
        """Cross-entropy of the last forward pass against masks (N, T, h, w) in 0..1, a scalar."""
        target = mask.transpose(0, 1).flatten(0, 1).unsqueeze(1)  # time-major, as the blocks
        losses = []
        for layer, seen in zip(self.layers, self._seen, strict=True):
            smaller = F.adaptive_avg_pool2d(target, (seen.shape[-2], seen.shape[-1]))
            losses.append(F.binary_cross_entropy_with_logits(layer(seen).float(), smaller))
        self._seen.clear()
        return torch.stack(losses).mean()
