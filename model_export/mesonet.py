"""Meso4 and MesoInception4: small single-frame detectors.

Source: Afchar, Nozick, Yamagishi, Echizen, "MesoNet: a Compact Facial Video Forgery Detection
Network" (WIFS 2018), as the authors' published Keras models have them: RGB in [0, 1], 256 x 256,
batch norm after the ReLU, one sigmoid unit that is P(real).
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model_export.detector import Detector, LayerOrder, Share, single_frames
from model_export.layers import batch_norm, max_pool_same
from model_export.outputs import RealSigmoid

HIDDEN = 16
LEAK = 0.1
DROPOUT = 0.5


class Inception(nn.Module):
    """Four branches side by side: 1x1, then 1x1 - 3x3 with dilation 1, 2 and 3.

    Each convolution is followed by a ReLU. (N, C, H, W) to (N, a + b + c + d, H, W).
    """

    def __init__(self, in_channels: int, a: int, b: int, c: int, d: int) -> None:
        super().__init__()
        self.plain = nn.Conv2d(in_channels, a, 1)
        self.reduce = nn.ModuleList(nn.Conv2d(in_channels, width, 1) for width in (b, c, d))
        self.dilated = nn.ModuleList(
            nn.Conv2d(width, width, 3, padding=dilation, dilation=dilation)
            for dilation, width in enumerate((b, c, d), start=1)
        )
        self.out_channels = a + b + c + d

    def forward(self, x: Tensor) -> Tensor:
        """The branches' outputs in the order plain, dilation 1, 2, 3."""
        branches = [torch.relu(self.plain(x))]
        for reduce, dilated in zip(self.reduce, self.dilated, strict=True):
            branches.append(torch.relu(dilated(torch.relu(reduce(x)))))
        return torch.cat(branches, dim=1)

    def layer_order(self) -> LayerOrder:
        """Keras sorts by depth: what only the concatenation follows comes later."""
        convolutions = (*self.reduce, self.plain, *self.dilated)
        return [*(("Conv2D", layer) for layer in convolutions), ("Concatenate", None)]


class _Meso(Detector):
    """Four convolutions, each with ReLU, batch norm and pooling; then two dense layers."""

    clip_length = 1
    published_size = 256
    class_order = "real"
    output = RealSigmoid()
    pools: ClassVar[tuple[int, ...]] = (2, 2, 2, 4)

    def __init__(
        self,
        convolutions: list[nn.Module],
        channels: list[int],
        size: tuple[int, int],
        dropout: float,
    ) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(convolutions)
        self.norms = nn.ModuleList(batch_norm(width) for width in channels)
        height, width = pooled_size(size)
        self.dropout = nn.Dropout(dropout)
        self.hidden = nn.Linear(height * width * channels[-1], HIDDEN)
        self.head = nn.Linear(HIDDEN, 1)

    def features(self, x: Tensor) -> Tensor:
        """The last pooled map (N, 1, 16, h, w)."""
        y = single_frames(x)
        for convolution, norm, pool in zip(self.convolutions, self.norms, self.pools, strict=True):
            y = max_pool_same(norm(torch.relu(convolution(y))), pool, pool)
        return y.unsqueeze(1)

    def classify(self, features: Tensor) -> Tensor:
        """The logit (N, 1) of *real*."""
        # Keras flattens rows, columns, channels; the dense weights are in that order.
        y = features[:, 0].permute(0, 2, 3, 1).flatten(1)
        y = F.leaky_relu(self.hidden(self.dropout(y)), LEAK)
        logits: Tensor = self.head(self.dropout(y))
        return logits

    def layer_order(self) -> LayerOrder:
        """The layer list of the authors' Keras model; a ReLU is part of its convolution."""
        order: LayerOrder = [("InputLayer", None)]
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            if isinstance(convolution, Inception):
                order += convolution.layer_order()
            else:
                order.append(("Conv2D", convolution))
            order += [("BatchNormalization", norm), ("MaxPooling2D", None)]
        return [
            *order,
            ("Flatten", None),
            ("Dropout", None),
            ("Dense", self.hidden),
            ("LeakyReLU", None),
            ("Dropout", None),
            ("Dense", self.head),
        ]


class Meso4(_Meso):
    """Meso4 for frames of ``size`` (rows, columns); 27,977 trainable parameters at 256."""

    architecture = "meso4"

    def __init__(self, size: tuple[int, int] = (256, 256), dropout: Share = DROPOUT) -> None:
        convolutions: list[nn.Module] = [
            nn.Conv2d(3, 8, 3, padding=1),
            nn.Conv2d(8, 8, 5, padding=2),
            nn.Conv2d(8, 16, 5, padding=2),
            nn.Conv2d(16, 16, 5, padding=2),
        ]
        super().__init__(convolutions, [8, 8, 16, 16], size, dropout)


class MesoInception4(_Meso):
    """MesoInception4 for frames of ``size`` (rows, columns); 28,615 parameters at 256."""

    architecture = "mesoinception4"

    def __init__(self, size: tuple[int, int] = (256, 256), dropout: Share = DROPOUT) -> None:
        first = Inception(3, 1, 4, 4, 2)
        second = Inception(first.out_channels, 2, 4, 4, 2)
        convolutions: list[nn.Module] = [
            first,
            second,
            nn.Conv2d(second.out_channels, 16, 5, padding=2),
            nn.Conv2d(16, 16, 5, padding=2),
        ]
        super().__init__(
            convolutions, [first.out_channels, second.out_channels, 16, 16], size, dropout
        )


def pooled_size(size: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns of the last map for frames of ``size``."""
    height, width = size
    for pool in _Meso.pools:
        height, width = -(-height // pool), -(-width // pool)
    return height, width
