"""CLRNet: a residual network of convolutional LSTMs over the consecutive frames of a face.

Source: Tariq, Lee, Woo, "A Convolutional LSTM based Residual Network for Deepfake Video
Detection" (2020) and "One Detector to Rule Them All" (WWW '21), as their released code builds it:
bottleneck blocks, pre-activation, [3, 4, 6, 3] of them from 64 filters. Equation (1) of the
papers has peepholes, which are an option here; the released network has none.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Annotated

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from model_export.detector import LayerOrder, PooledDetector, Share
from model_export.layers import (
    BATCH_NORM_MOMENTUM,
    ConvLSTM2d,
    batch_norm,
    he_normal_,
    max_pool_same,
)
from model_export.outputs import Softmax

EXPANSION = 4
"""A block's output has this many times its filters."""

Repetitions = Annotated[Sequence[PositiveInt], Field(min_length=1)]

STAGE_STRIDE = 2
"""Every stage begins with this stride, the first one too."""


class Block(nn.Module):
    """Bottleneck: [BN - ReLU -] ConvLSTM - BN - ReLU - ConvLSTM - BN - ReLU - ConvLSTM, added.

    With ``stride`` 2 the shortcut is a projection (ConvLSTM 1x1 and BN) of the block's input as
    it is before the leading BN-ReLU; else the input itself. Nothing follows the sum.
    """

    def __init__(
        self,
        in_channels: int,
        filters: int,
        stride: int,
        *,
        first: bool,
        dropout: float,
        momentum: float,
        peepholes: bool,
    ) -> None:
        super().__init__()
        out = EXPANSION * filters
        conv_lstm = partial(ConvLSTM2d, peepholes=peepholes)
        # The network's very first block follows BN-ReLU-pool and opens with a 3x3 kernel.
        self.norm1 = None if first else batch_norm(in_channels, momentum)
        self.conv1 = conv_lstm(in_channels, filters, 3 if first else 1, stride)
        self.norm2 = batch_norm(filters, momentum)
        self.conv2 = conv_lstm(filters, filters, 3)
        self.norm3 = batch_norm(filters, momentum)
        self.conv3 = conv_lstm(filters, out, 1)
        self.projection: ConvLSTM2d | None = None
        self.projection_norm: nn.BatchNorm2d | None = None
        if stride != 1:
            self.projection = conv_lstm(in_channels, out, 1, stride, "valid")
            self.projection_norm = batch_norm(out, momentum)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, steps: int) -> Tensor:
        """(T * N, C, H, W), time-major, to (T * N, 4 * filters, h, w)."""
        y = x if self.norm1 is None else torch.relu(self.norm1(x))
        y = self.dropout(self.conv1(y, steps))
        y = self.dropout(self.conv2(torch.relu(self.norm2(y)), steps))
        y = self.conv3(torch.relu(self.norm3(y)), steps)
        if self.projection is not None and self.projection_norm is not None:
            x = self.projection_norm(self.projection(x, steps))
        total: Tensor = x + y
        return total

    def layer_order(self) -> LayerOrder:
        """The block's part of Keras' layer list.

        Keras sorts layers by depth, which puts the projection and its BN to either side of the
        activation in front of the last ConvLSTM.
        """
        opening: LayerOrder = [("BatchNormalization", self.norm1), ("Activation", None)]
        last_activation: LayerOrder = [("Activation", None)]
        if self.projection is not None:
            last_activation = [
                ("ConvLSTM2D", self.projection),
                ("Activation", None),
                ("BatchNormalization", self.projection_norm),
            ]
        return [
            *(opening if self.norm1 is not None else []),
            ("ConvLSTM2D", self.conv1),
            ("Dropout", None),
            ("BatchNormalization", self.norm2),
            ("Activation", None),
            ("ConvLSTM2D", self.conv2),
            ("Dropout", None),
            ("BatchNormalization", self.norm3),
            *last_activation,
            ("ConvLSTM2D", self.conv3),
            ("Add", None),
        ]


class CLRNet(PooledDetector):
    """The clip classifier of Tariq et al.; any number of frames T >= 1, any height and width.

    ``initial_filters`` is the width of the stem and of the first stage (each stage doubles it),
    ``repetitions`` the number of blocks in each stage. ``batch_norm_momentum`` is the share of the
    new value, ``peepholes`` those of equation (1) of the papers. The defaults are the released
    network (248,160,514 parameters with the batch-norm statistics).
    """

    architecture = "clrnet"
    clip_length = 5
    published_size = 240
    output = Softmax()

    def __init__(
        self,
        initial_filters: PositiveInt = 64,
        repetitions: Repetitions = (3, 4, 6, 3),
        dropout: Share = 0.25,
        batch_norm_momentum: Share = BATCH_NORM_MOMENTUM,
        peepholes: bool = False,
    ) -> None:
        super().__init__()
        self.initial_filters = initial_filters
        self.repetitions = tuple(repetitions)
        filters, momentum = initial_filters, batch_norm_momentum
        self.stem = ConvLSTM2d(3, filters, 7, 2, peepholes=peepholes)
        self.stem_norm = batch_norm(filters, momentum)
        channels, blocks = filters, []
        for stage, count in enumerate(self.repetitions):
            for index in range(count):
                first = stage == index == 0
                stride = STAGE_STRIDE if index == 0 else 1
                blocks.append(
                    Block(
                        channels,
                        filters,
                        stride,
                        first=first,
                        dropout=dropout,
                        momentum=momentum,
                        peepholes=peepholes,
                    )
                )
                channels = EXPANSION * filters
            filters *= 2
        self.blocks = nn.ModuleList(blocks)
        self.norm = batch_norm(channels, momentum)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(channels, 2)
        he_normal_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def features(self, x: Tensor) -> Tensor:
        """The last batch norm's output (N, T, C, h, w) of clips (N, T, 3, H, W)."""
        steps = x.shape[1]
        y = x.transpose(0, 1).flatten(0, 1)
        y = torch.relu(self.stem_norm(self.stem(y, steps)))
        y = max_pool_same(y, 3, 3)
        for block in self.blocks:
            y = block(y, steps)
        y = self.norm(y)
        features: Tensor = y.reshape(steps, -1, *y.shape[1:]).transpose(0, 1)
        return features

    def classify(self, features: Tensor) -> Tensor:
        """Logits (N, 2) [fake, real] of features (N, T, C, h, w)."""
        logits: Tensor = self.head(self.dropout(features.mean(dim=(1, 3, 4))))
        return logits

    def layer_order(self) -> LayerOrder:
        """Keras' layer list: 207 entries for the released network."""
        order: LayerOrder = [
            ("InputLayer", None),
            ("ConvLSTM2D", self.stem),
            ("BatchNormalization", self.stem_norm),
            ("Activation", None),
            ("MaxPooling3D", None),
        ]
        for block in self.blocks:
            assert isinstance(block, Block)
            order += block.layer_order()
        return [
            *order,
            ("BatchNormalization", self.norm),
            ("GlobalAveragePooling3D", None),
            ("Dropout", None),
            ("Dense", self.head),
        ]
