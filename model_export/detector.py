"""What every deepfake detector here can do, whatever its architecture."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import ClassVar

from torch import Tensor, nn


class Detector(nn.Module, ABC):
    """A network from clips of face crops to P(fake).

    ``model(x)`` takes float32 RGB (N, T, 3, H, W), scaled as its weights were trained, and gives
    logits. What a logit means is the architecture's own affair: ``fake_probability`` knows.
    """

    architecture: ClassVar[str]
    clip_length: ClassVar[int]
    """T of the published network."""
    has_cam: ClassVar[bool] = False
    """Whether ``cam`` is there."""
    class_order: ClassVar[str] = "fake,real"
    """What the output units of the published network stand for."""

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, units) of clips (N, T, 3, H, W)."""
        return self.classify(self.features(x))

    @abstractmethod
    def features(self, x: Tensor) -> Tensor:
        """Last feature map (N, T, C, h, w) of clips (N, T, 3, H, W)."""

    @abstractmethod
    def classify(self, features: Tensor) -> Tensor:
        """Logits (N, units) of features (N, T, C, h, w)."""

    @abstractmethod
    def fake_probability(self, logits: Tensor) -> Tensor:
        """P(fake) (N,) of logits (N, units)."""

    def loss(self, x: Tensor, fake: Tensor) -> Tensor:
        """What training lowers: the mean over clips (N, T, 3, H, W), a scalar; ``fake`` is
        float32 (N,), 1 where forged and 0 where real."""
        raise NotImplementedError(f"{self.architecture} cannot be trained")

    def cam(self, features: Tensor) -> Tensor:
        """Raw class activation map (N, T, h, w): features times the fake class's weights."""
        raise NotImplementedError(f"{self.architecture} has no class activation map")

    @abstractmethod
    def keras_layers(self) -> Iterator[nn.Module]:
        """The layers with weights in the order of the layer list of the Keras original."""


def single_frames(x: Tensor) -> Tensor:
    """(N, 3, H, W) of clips (N, 1, 3, H, W), for networks that see one frame."""
    if x.shape[1] != 1:
        raise ValueError(f"a single-frame model takes clips of 1 frame, not {x.shape[1]}")
    return x[:, 0]
