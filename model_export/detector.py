"""What every deepfake detector here can do, whatever its architecture."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from model_export.layers import ConvLSTM2d
from model_export.outputs import Output

_WITH_KERNELS = (nn.Conv2d, nn.Linear, ConvLSTM2d, nn.RNNBase)

Share = Annotated[float, Field(ge=0, lt=1)]
"""An option between nothing and all, such as a dropout rate."""

LayerOrder = list[tuple[str, nn.Module | None]]
"""Class name of each layer, and its module where it has weights."""


class Detector(nn.Module, ABC):
    """A network from clips of face crops to P(fake).

    ``model(x)`` takes float32 RGB (N, T, 3, H, W), scaled as its weights were trained, and gives
    logits. What a logit means is the architecture's own affair: ``fake_probability`` knows.
    """

    architecture: ClassVar[str]
    clip_length: ClassVar[int]
    """T of the published network."""
    published_size: ClassVar[int]
    """Height and width of the published network's frames."""
    has_cam: ClassVar[bool] = False
    """Whether ``cam`` is there."""
    class_order: ClassVar[str] = "fake,real"
    """What the output units of the published network stand for."""

    output: Output
    """What the logits stand for."""
    head: nn.Module
    """The output layer."""

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, units) of clips (N, T, 3, H, W)."""
        return self.classify(self.features(x))

    @abstractmethod
    def features(self, x: Tensor) -> Tensor:
        """Last feature map (N, T, C, h, w) of clips (N, T, 3, H, W)."""

    @abstractmethod
    def classify(self, features: Tensor) -> Tensor:
        """Logits (N, units) of features (N, T, C, h, w)."""

    def fake_probability(self, logits: Tensor) -> Tensor:
        """P(fake) (N,) of logits (N, units)."""
        return self.output.fake_probability(logits)

    def log_odds(self, logits: Tensor) -> Tensor:
        """Logit of P(fake) (N,) of logits (N, units), finite however sure the network is."""
        return self.output.log_odds(logits)

    def loss(self, x: Tensor, fake: Tensor) -> Tensor:
        """What training lowers: the mean over clips (N, T, 3, H, W), a scalar.

        ``fake`` is float32 (N,), 1 where forged and 0 where real. The penalty of ``penalised``
        is not in it.
        """
        return self.output.loss(self(x), fake)

    def cam(self, features: Tensor) -> Tensor:
        """Raw class activation map (N, T, h, w): features times the fake class's weights."""
        raise NotImplementedError(f"{self.architecture} has no class activation map")

    def penalised(self) -> Iterator[nn.Parameter]:
        """The parameters under the papers' L2 penalty of 1e-4.

        The kernels of convolutions and dense layers and the input kernels of recurrent ones; no
        recurrent kernel, bias or norm, and not the output layer, as the released code has it for
        CLRNet and ShallowNetV3.
        """
        for module in self.modules():
            if module is self.head:
                continue
            for name, parameter in module.named_parameters(recurse=False):
                kernel = name == "weight" or name.startswith("weight_ih")
                if kernel and isinstance(module, _WITH_KERNELS):
                    yield parameter

    @abstractmethod
    def layer_order(self) -> LayerOrder:
        """The whole layer list of the original network, from which freezing counts.

        A layer without weights (input, activation, pooling, dropout, sum) has no module. For
        networks that were published in Keras, it is Keras' ``model.layers``; see ``leaf_layers``
        for the others.
        """

    def keras_layers(self) -> Iterator[nn.Module]:
        """The layers with weights, in the order of ``layer_order``."""
        return (module for _, module in self.layer_order() if module is not None)


class PooledDetector(Detector):
    """A detector that ends in global average pooling and one dense layer; so it has a CAM.

    Source of the map: Zhou et al., "Learning Deep Features for Discriminative Localization"
    (CVPR 2016).
    """

    has_cam = True
    head: nn.Linear

    def classify(self, features: Tensor) -> Tensor:
        """Logits (N, units) of features (N, T, C, h, w), averaged over time, rows, columns."""
        logits: Tensor = self.head(features.mean(dim=(1, 3, 4)))
        return logits

    def cam(self, features: Tensor) -> Tensor:
        """Raw class activation map (N, T, h, w): features times the fake class's weights."""
        weights = self.output.fake_weights(self.head.weight)
        return torch.einsum("ntchw,c->nthw", features, weights)


def single_frames(x: Tensor) -> Tensor:
    """(N, 3, H, W) of clips (N, 1, 3, H, W), for networks that see one frame."""
    if x.shape[1] != 1:
        raise ValueError(f"a single-frame model takes clips of 1 frame, not {x.shape[1]}")
    return x[:, 0]
