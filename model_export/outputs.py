"""What a detector's output units stand for: P(fake) of their logits, and the loss of training.

The released CLRNet numbers its classes 0 for fake and 1 for real; so do all networks here with
two units.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor
from torch.nn import functional as F

FAKE_CLASS = 0
REAL_CLASS = 1


class Output(ABC):
    """The meaning of logits (N, units).

    Losses are means over the batch, from logits, so that a sure mistake has a finite one. The
    labels ``fake`` are float32 (N,): 1 forged, 0 real; values between are allowed.
    """

    @abstractmethod
    def fake_probability(self, logits: Tensor) -> Tensor:
        """P(fake) (N,) of logits (N, units)."""

    @abstractmethod
    def log_odds(self, logits: Tensor) -> Tensor:
        """The logarithm of P(fake) / (1 - P(fake)) (N,) of logits (N, units), which never
        saturates as the probability does."""

    @abstractmethod
    def loss(self, logits: Tensor, fake: Tensor) -> Tensor:
        """Binary cross-entropy of logits (N, units) against labels (N,), a scalar."""

    def fake_weights(self, weight: Tensor) -> Tensor:
        """What of the output layer's weights (units, C) speaks for *fake*, (C,)."""
        return weight[FAKE_CLASS]


class Softmax(Output):
    """Two units [fake, real] under one softmax.

    Keras' binary cross-entropy, the mean over both units, is here the cross-entropy itself.
    """

    def fake_probability(self, logits: Tensor) -> Tensor:
        """P(fake) (N,) of logits (N, 2)."""
        return torch.softmax(logits, dim=1)[:, FAKE_CLASS]

    def log_odds(self, logits: Tensor) -> Tensor:
        """Log-odds (N,) of logits (N, 2): their difference."""
        return logits[:, FAKE_CLASS] - logits[:, REAL_CLASS]

    def loss(self, logits: Tensor, fake: Tensor) -> Tensor:
        """Cross-entropy of logits (N, 2)."""
        return F.cross_entropy(logits, _both(fake))


class Sigmoids(Output):
    """Two units [fake, real], each a sigmoid of its own: they need not add up to 1."""

    def fake_probability(self, logits: Tensor) -> Tensor:
        """P(fake) (N,): the fake unit's sigmoid; the *real* unit is not looked at."""
        return torch.sigmoid(logits[:, FAKE_CLASS])

    def log_odds(self, logits: Tensor) -> Tensor:
        """Log-odds (N,): the fake unit's logit."""
        return logits[:, FAKE_CLASS]

    def loss(self, logits: Tensor, fake: Tensor) -> Tensor:
        """Mean over both units' binary cross-entropies."""
        return F.binary_cross_entropy_with_logits(logits, _both(fake))


class RealSigmoid(Output):
    """One unit, whose sigmoid is P(real)."""

    def fake_probability(self, logits: Tensor) -> Tensor:
        """P(fake) (N,): the logit's sign turns."""
        return torch.sigmoid(-logits[:, 0])

    def log_odds(self, logits: Tensor) -> Tensor:
        """Log-odds (N,): the logit with its sign turned."""
        return -logits[:, 0]

    def loss(self, logits: Tensor, fake: Tensor) -> Tensor:
        """Binary cross-entropy of the unit."""
        return F.binary_cross_entropy_with_logits(logits[:, 0], 1 - fake)

    def fake_weights(self, weight: Tensor) -> Tensor:
        """The unit's weights turned round."""
        return -weight[0]


def _both(fake: Tensor) -> Tensor:
    """Targets (N, 2) of the units [fake, real]."""
    return torch.stack([fake, 1 - fake], dim=1)
