"""Xception as Keras' own applications module builds it, with a small head.

Source: Chollet, "Xception: Deep Learning with Depthwise Separable Convolutions" (CVPR 2017), in
the Keras arrangement that the published detectors were trained with: RGB in [0, 1], 240 x 240.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from model_export.detector import LayerOrder, PooledDetector, single_frames
from model_export.layers import batch_norm, max_pool_same
from model_export.outputs import Output, RealSigmoid, Sigmoids, Softmax

MIDDLE_BLOCKS = 8
MIDDLE_WIDTH = 728

HeadActivation = Literal["softmax", "sigmoid"]
_OUTPUTS: Mapping[HeadActivation, Output] = {"softmax": Softmax(), "sigmoid": Sigmoids()}


class SeparableConv2d(nn.Module):
    """3x3 convolution of each channel, then 1x1 across channels; stride 1, no bias."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(
            in_channels, in_channels, 3, padding=1, groups=in_channels, bias=False
        )
        self.pointwise = nn.Conv2d(in_channels, out_channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in, H, W) to (N, out, H, W)."""
        y: Tensor = self.pointwise(self.depthwise(x))
        return y


class Downsample(nn.Module):
    """Two separable convolutions and a pooling, added to a strided 1x1 convolution."""

    def __init__(self, in_channels: int, widths: tuple[int, int], *, leading_relu: bool) -> None:
        super().__init__()
        self.leading_relu = leading_relu
        self.conv1 = SeparableConv2d(in_channels, widths[0])
        self.norm1 = batch_norm(widths[0])
        self.conv2 = SeparableConv2d(widths[0], widths[1])
        self.norm2 = batch_norm(widths[1])
        self.shortcut = nn.Conv2d(in_channels, widths[1], 1, 2, bias=False)
        self.shortcut_norm = batch_norm(widths[1])

    def forward(self, x: Tensor) -> Tensor:
        """(N, in, H, W) to (N, out, ceil(H / 2), ceil(W / 2))."""
        y = torch.relu(x) if self.leading_relu else x
        y = self.norm1(self.conv1(y))
        y = self.norm2(self.conv2(torch.relu(y)))
        total: Tensor = max_pool_same(y, 3, 2) + self.shortcut_norm(self.shortcut(x))
        return total

    def layer_order(self) -> LayerOrder:
        """Keras sorts by depth: the shortcut stands beside the pooling."""
        return [
            *([("Activation", None)] if self.leading_relu else []),
            ("SeparableConv2D", self.conv1),
            ("BatchNormalization", self.norm1),
            ("Activation", None),
            ("SeparableConv2D", self.conv2),
            ("BatchNormalization", self.norm2),
            ("Conv2D", self.shortcut),
            ("MaxPooling2D", None),
            ("BatchNormalization", self.shortcut_norm),
            ("Add", None),
        ]


class Middle(nn.Module):
    """Three times ReLU, separable convolution, batch norm; added to the input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(SeparableConv2d(channels, channels) for _ in range(3))
        self.norms = nn.ModuleList(batch_norm(channels) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W), unchanged in shape."""
        y = x
        for conv, norm in zip(self.convs, self.norms, strict=True):
            y = norm(conv(torch.relu(y)))
        return x + y

    def layer_order(self) -> LayerOrder:
        """ReLU, convolution and norm by turns."""
        order: LayerOrder = []
        for conv, norm in zip(self.convs, self.norms, strict=True):
            order += [("Activation", None), ("SeparableConv2D", conv), ("BatchNormalization", norm)]
        return [*order, ("Add", None)]


class Xception(PooledDetector):
    """Keras' Xception over single frames of any size from 71 on.

    ``units`` of the head: 2 in the order [fake, real], or 1 that is the logit of *real* (Keras
    numbers the class folders by name, so *real* is class 1). ``activation`` is what the Keras
    head has: two units may be a softmax or two separate sigmoids.
    """

    architecture = "xception"
    class_order = "fake,real (assumed: that of the released CLRNet)"
    clip_length = 1
    published_size = 240

    def __init__(self, units: int = 2, activation: HeadActivation = "softmax") -> None:
        if units not in (1, 2):
            raise ValueError(f"a head of {units} units is no real-or-fake classifier")
        super().__init__()
        self.output = RealSigmoid() if units == 1 else _OUTPUTS[activation]
        self.conv1 = nn.Conv2d(3, 32, 3, 2, bias=False)
        self.norm1 = batch_norm(32)
        self.conv2 = nn.Conv2d(32, 64, 3, bias=False)
        self.norm2 = batch_norm(64)
        self.blocks = nn.ModuleList(
            (
                Downsample(64, (128, 128), leading_relu=False),
                Downsample(128, (256, 256), leading_relu=True),
                Downsample(256, (MIDDLE_WIDTH, MIDDLE_WIDTH), leading_relu=True),
                *(Middle(MIDDLE_WIDTH) for _ in range(MIDDLE_BLOCKS)),
                Downsample(MIDDLE_WIDTH, (MIDDLE_WIDTH, 1024), leading_relu=True),
            )
        )
        self.conv3 = SeparableConv2d(1024, 1536)
        self.norm3 = batch_norm(1536)
        self.conv4 = SeparableConv2d(1536, 2048)
        self.norm4 = batch_norm(2048)
        self.head = nn.Linear(2048, units)

    def features(self, x: Tensor) -> Tensor:
        """The last ReLU's output (N, 1, 2048, h, w)."""
        y = torch.relu(self.norm1(self.conv1(single_frames(x))))
        y = torch.relu(self.norm2(self.conv2(y)))
        for block in self.blocks:
            y = block(y)
        y = torch.relu(self.norm3(self.conv3(y)))
        y = torch.relu(self.norm4(self.conv4(y)))
        return y.unsqueeze(1)

    def layer_order(self) -> LayerOrder:
        """Keras' layer list: the 132 of its Xception without top, pooling, dense layer."""
        order: LayerOrder = [
            ("InputLayer", None),
            ("Conv2D", self.conv1),
            ("BatchNormalization", self.norm1),
            ("Activation", None),
            ("Conv2D", self.conv2),
            ("BatchNormalization", self.norm2),
            ("Activation", None),
        ]
        for block in self.blocks:
            assert isinstance(block, Downsample | Middle)
            order += block.layer_order()
        return [
            *order,
            ("SeparableConv2D", self.conv3),
            ("BatchNormalization", self.norm3),
            ("Activation", None),
            ("SeparableConv2D", self.conv4),
            ("BatchNormalization", self.norm4),
            ("Activation", None),
            ("GlobalAveragePooling2D", None),
            ("Dense", self.head),
        ]
