"""What a training step computes: from the pixels of a batch to its losses and scores."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn

from model_export.detector import Detector
from model_export.scaling import Scaling
from model_export.training.mask_head import MaskHead


class Outcome(NamedTuple):
    """``loss`` is the detector's, ``mask_loss`` the mask head's, scalars; ``score`` P(fake) (N,),
    without gradient."""

    loss: Tensor
    mask_loss: Tensor | None
    score: Tensor


class Objective(nn.Module):
    """A detector with the head that learns beside it, as one module for ``DistributedDataParallel``
    to wrap."""

    def __init__(self, model: Detector, scaling: Scaling, head: MaskHead | None = None) -> None:
        super().__init__()
        self.model = model
        self.head = head
        self._scaling = scaling
        self._logits: Tensor | None = None
        # A loss gives no scores. Every network's logits come out of ``classify``: there they are
        # caught rather than computed once more.
        self._classify = model.classify
        model.classify = self._caught  # type: ignore[method-assign]

    def forward(self, clips: Tensor, fake: Tensor, mask: Tensor | None = None) -> Outcome:
        """Of clips uint8 (N, T, 3, H, W) RGB, labels float32 (N,), masks (N, T, h, w)."""
        loss = self.model.loss(self._scaling(clips), fake)
        assert self._logits is not None, "every loss classifies"
        score = self.model.fake_probability(self._logits).float()
        self._logits = None
        mask_loss = None if self.head is None or mask is None else self.head.loss(mask)
        return Outcome(loss, mask_loss, score)

    def _caught(self, features: Tensor) -> Tensor:
        logits = self._classify(features)
        self._logits = logits.detach()
        return logits
