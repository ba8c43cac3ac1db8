"""ShallowNetV3: a shallow single-frame detector.

Source: table 4 of Tariq, Lee, Woo (2020), as their released code builds it: RGB in [0, 1], 128 x
128, no padding, two sigmoid units [fake, real].
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model_export.detector import Detector, LayerOrder, Share, single_frames
from model_export.layers import batch_norm, he_normal_
from model_export.outputs import Sigmoids

HIDDEN = 1024
DROPOUT = 0.25

_LAYERS = ((32, 5), (32, 1), (32, 1), (64, 3), (64, 1), (64, 1), (128, 3), (32, 1))
"""Filters and kernel of each convolution."""
_POOL_AFTER = (2, 5)


class ShallowNetV3(Detector):
    """ShallowNetV3 for frames of ``size`` (rows, columns)."""

    architecture = "shallownetv3"
    class_order = "fake,real (assumed: that of the released CLRNet)"
    clip_length = 1
    published_size = 128
    output = Sigmoids()

    def __init__(self, size: tuple[int, int] = (128, 128), dropout: Share = DROPOUT) -> None:
        super().__init__()
        channels = 3
        convolutions: list[nn.Conv2d] = []
        for filters, kernel in _LAYERS:
            convolutions.append(nn.Conv2d(channels, filters, kernel))
            channels = filters
        self.convolutions = nn.ModuleList(convolutions)
        self.dropout = nn.Dropout(dropout)
        height, width = unpadded_size(size)
        if min(height, width) < 1:
            raise ValueError(f"frames of {size[0]}x{size[1]} are too small for ShallowNetV3")
        self.hidden = nn.Linear(height * width * channels, HIDDEN)
        self.norm = batch_norm_1d(HIDDEN)
        self.head = nn.Linear(HIDDEN, 2)
        dense: list[nn.Conv2d | nn.Linear] = [self.hidden, self.head]
        for layer in (*convolutions, *dense):
            he_normal_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)

    def features(self, x: Tensor) -> Tensor:
        """The last convolution's output (N, 1, 32, h, w)."""
        y = single_frames(x)
        for index, convolution in enumerate(self.convolutions):
            y = torch.relu(convolution(y))
            if index in _POOL_AFTER:
                y = F.max_pool2d(y, 2)
            y = self.dropout(y)
        return y.unsqueeze(1)

    def classify(self, features: Tensor) -> Tensor:
        """Logits (N, 2) in the order [fake, real]; the two units are separate sigmoids."""
        # Keras flattens rows, columns, channels; the dense weights are in that order.
        y = features[:, 0].permute(0, 2, 3, 1).flatten(1)
        y = self.norm(torch.relu(self.hidden(y)))
        logits: Tensor = self.head(self.dropout(y))
        return logits

    def layer_order(self) -> LayerOrder:
        """The layer list of the authors' Keras model; a ReLU is part of its convolution."""
        order: LayerOrder = [("InputLayer", None)]
        for index, convolution in enumerate(self.convolutions):
            order.append(("Conv2D", convolution))
            if index in _POOL_AFTER:
                order.append(("MaxPooling2D", None))
            order.append(("Dropout", None))
        return [
            *order,
            ("Flatten", None),
            ("Dense", self.hidden),
            ("BatchNormalization", self.norm),
            ("Dropout", None),
            ("Dense", self.head),
        ]


def batch_norm_1d(features: int) -> nn.BatchNorm1d:
    """Batch normalisation of (N, features) with Keras' constants."""
    like = batch_norm(1)
    return nn.BatchNorm1d(features, eps=like.eps, momentum=like.momentum)


def unpadded_size(size: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns of the last map for frames of ``size``."""
    height, width = size
    for index, (_, kernel) in enumerate(_LAYERS):
        height, width = height - kernel + 1, width - kernel + 1
        if index in _POOL_AFTER:
            height, width = height // 2, width // 2
    return height, width
