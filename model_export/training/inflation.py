"""From a CLRNet of single frames to one of clips.

Clips from random weights stay at chance for long: recurrence in every layer hides the small
differences that a forgery leaves. So a network may learn on single frames first.
"""

from __future__ import annotations

import torch

from model_export.detector import Detector
from model_export.errors import TrainingError
from model_export.layers import ConvLSTM2d

RECURRENCE = 0.05
"""What is left of the kernels that single frames never used."""
FORGET_BIAS = -2.0
"""The hard sigmoid of it is 0.1."""


def inflate(model: Detector) -> None:
    """Make a network trained on single frames ready for clips, in place.

    Each step then gives almost what a single frame gives, yet every gate is in its sloping range.
    Raises ``TrainingError`` for a network without convolutional LSTMs.
    """
    layers = [layer for layer in model.modules() if isinstance(layer, ConvLSTM2d)]
    if not layers:
        raise TrainingError(f"init.inflate: {model.architecture} has nothing to inflate")
    with torch.no_grad():
        for layer in layers:
            forget = slice(layer.filters, 2 * layer.filters)
            layer.recurrent_weight.mul_(RECURRENCE)
            layer.weight[forget].mul_(RECURRENCE)
            layer.bias[forget] = FORGET_BIAS
